"""A consumer of the Python PgQ library that writes down every event, taken apart by the library's own parsers, or the
SQL that Londiste 3 makes of it.

One JSON object a line. Some events are put off at first, and written down when they come again.
"""

import json
import sys

import pgq
import skytools
from londiste.handler import build_handler


def from_sql(event):
    key, row = skytools.parse_sqltriga_sql(event.type, event.data, splitkeys=True)
    return {"op": event.type, "key": dict(key), "row": dict(row)}


def from_urlenc(event):
    op, _, key = event.type.partition(":")
    return {"op": op, "pkey": key.split(","), "row": skytools.db_urldecode(event.data)}


def from_json(event):
    head = json.loads(event.type)
    return {
        "op": head["op"][0],
        "pkey": head["pkey"],
        "names": head["table"],
        "row": json.loads(event.data),
    }


def by_londiste(event):
    statements = []
    handler = build_handler(event.extra1, "londiste")
    handler.process_event(event, lambda sql, _cursor: statements.append(sql), None)
    (sql,) = statements
    return {"sql": sql}


PARSERS = {"sql": from_sql, "urlenc": from_urlenc, "json": from_json, "londiste": by_londiste}


class Recorder(pgq.Consumer):
    def process_batch(self, db, batch_id, event_list):
        parse = PARSERS[self.cf.get("parser")]
        with open(self.cf.getfile("record"), "a", encoding="utf-8") as record:
            for event in event_list:
                if event.id % 17 == 0 and not event.retry:
                    event.tag_retry(0)
                    continue
                facts = {"op": "R"} if event.type == "R" else parse(event)
                facts.update(id=event.id, table=event.extra1, retry=event.retry or 0)
                record.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    Recorder("recorder", "db", sys.argv[1:]).start()
