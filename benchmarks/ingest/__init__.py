"""How fast problems come in: JSON against ``orjson.loads``, terms into a ``Problem``, compiling, evaluating."""
