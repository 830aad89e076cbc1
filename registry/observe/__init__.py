"""`trio-actors observe`: a page with the live tree of a running application. Extra `http`.

Map: `feed` asks the application for snapshots while somebody looks, `pages` serves the page and its
events, `page.html` is the page.
"""
