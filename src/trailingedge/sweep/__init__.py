"""Parameter sweep: many backtests with different settings, ranked by walk-forward validation.

`search_space` lists the combinations, `trial` backtests one on all markets and paths, `backends` runs many in processes
(or on Dask or Ray), `trial_store` keeps results between runs. `objective` rates a trial, `walk_forward` splits the days
into folds, `ranking` ranks the trials of each fold twice: on the days before the fold's split, and on the days after
it. `influence` says which setting mattered most, `significance` whether the winner may be due to chance; `output` and
`json_result` print the result and say how far it can be trusted, `heatmap` draws the results of two settings as a page.

Imports: `backtest` and what it needs; `report` and `notifications` for tables and number formats. Called by
`commands.sweep`. Worker processes import `trial`, so that module must load without the command line.
"""
