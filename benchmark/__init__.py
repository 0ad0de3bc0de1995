"""
Measures syncer beside its peers: `scripts/bench`. Not shipped.

One module per subject: `result` judges, `report` and `chart` draw (pure, all three), `arena` has the servers, `peers` the
programs that are compared with, `lines/` what is measured.
"""
