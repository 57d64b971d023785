"""Records as a test writes them: a file with one JSON object a line.

  {"value": {"id": 1}}                                    a record of partition 0 with this JSON
  {"partition": 1, "key": "k", "timestamp": 1767225600000, "headers": [["a", "1"], ["b", null]], "value": null}
  {"text": "no JSON", "kind": "poison", "reason": "not_json"}
  {"key_hex": "ff00", "value": 1}                         a key that is no text
  {"value": {"n": "x"}, "stored": {"n": null}}            the table should hold this instead of the value
"""

import json


def encode(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def records(path):
    """What `produce` needs of each line; its kind and reason; and the value that the table should hold."""
    with open(path, encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            value = line["text"].encode() if "text" in line else line["value"]
            kind = line.get("kind", "tombstone" if value is None else "record")
            if value is not None and not isinstance(value, bytes):
                value = encode(value)
            stored = encode(line["stored"]) if "stored" in line else value
            key = bytes.fromhex(line["key_hex"]) if "key_hex" in line else line.get("key")
            record = {"partition": line.get("partition", 0), "key": key, "value": value}
            if "timestamp" in line:
                record["timestamp"] = line["timestamp"]
            if "headers" in line:
                record["headers"] = [tuple(header) for header in line["headers"]]
            yield record, kind, line.get("reason"), stored
