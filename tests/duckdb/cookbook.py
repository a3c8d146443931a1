"""Runs the queries of docs/cookbook.md with DuckDB on tables that rjcore export wrote.

cookbook.py COOKBOOK TABLES FLEET: `tables/` in a query is the directory TABLES, `fleet/` is FLEET. Prints an object: of each
query by its name its rows, each as an object by the columns' names.
"""

import json
import re
import sys

import duckdb

cookbook, tables, fleet = sys.argv[1:]
text = open(cookbook, encoding="utf-8").read()
queries = re.findall(r"^```sql (\w+)\n(.*?)^```$", text, re.M | re.S)
# Each block is run, and has a name of its own.
assert len(queries) == text.count("```sql") == len({name for name, _ in queries}), queries
database = duckdb.connect()
found = {}
for name, query in queries:
    query = query.replace("'tables/", f"'{tables}/").replace("'fleet/", f"'{fleet}/")
    try:
        result = database.execute(query)
        columns = [of[0] for of in result.description or []]
        found[name] = [dict(zip(columns, row)) for row in result.fetchall()]
    except duckdb.Error as e:
        sys.exit(f"{name}: {e}")
json.dump(found, sys.stdout, default=str)
