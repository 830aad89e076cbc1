"""The Python side of the example logwatch; start reading at `ledger.py`, then `report.py`.

ledger.py      pure: which line is where, what a death means, the exact accounting
aggregate.py   pure: what the scored lines add up to
chaos.py       pure: which junk is added and who is killed when
source.py      the input, read in a thread, kept until the ledger has the lines
roles.py       how the processes find each other and hand their state on when they die
reader.py, accounts.py, collector.py, report.py   the processes
render.py      the report as text, table or JSON
"""
