"""One form for values, whichever engine they came from: what JSON can hold, told by the column's Iceberg type.

A type is Iceberg's name for it, or a tuple: `("decimal", 12, 2)`, `("fixed", 3)`, `("struct", {name: type})`,
`("list", type)`, `("map", key, value)`. Engines hand values out in different clothes (a UUID as bytes or as text, a map
as pairs); they are told apart from values that differ, and nothing is rounded.

| type | form |
|---|---|
| float, double | the shortest digits that give it back, "NaN", "inf", "-inf", "-0.0" |
| decimal | its digits, as many behind the point as its scale has |
| binary, fixed | hexadecimal |
| uuid, date, time, timestamp, timestamptz | text of ISO 8601, times with six digits, `timestamptz` in UTC with a Z |
| struct, list, map | an object, a list, a list of pairs in the order of their keys |
"""

import datetime
import decimal
import struct
import uuid

UTC = datetime.timezone.utc


def row(columns, values):
    """A row, given by column, of a table with these columns."""
    return {name: told(ty, values[name]) for name, ty in columns.items()}


def told(ty, given):
    """A value, or why it has no form: it is one more that differs."""
    try:
        return value(ty, given)
    except (ValueError, TypeError, ArithmeticError) as error:
        return f"not of the column's type: {error}"


def value(ty, given):
    if given is None:
        return None
    kind, *of = ty if isinstance(ty, tuple) else (ty,)
    return FORMS[kind](given, *of)


def boolean(given):
    # Some engines have no booleans of their own, only zero and one.
    if given not in (0, 1):
        raise ValueError(f"no boolean: {given!r}")
    return bool(given)


def integer(given):
    if given != int(given):
        raise ValueError(f"no integer: {given!r}")
    return int(given)


def floating(given):
    given = float(given)
    return "NaN" if given != given else repr(given)


def single(given):
    """A float by the digits of a double, which some engines show: those of a float may stand for several doubles."""
    return floating(struct.unpack("f", struct.pack("f", float(given)))[0])


def fraction(given, precision, scale):
    given = decimal.Decimal(given)
    with decimal.localcontext(prec=precision + 1):
        exact = given.quantize(decimal.Decimal(1).scaleb(-scale))
    if exact != given:
        raise ValueError(f"more than {scale} digits behind the point: {given}")
    return f"{exact:f}"


def octets(given, size=None):
    given = bytes.fromhex(given) if isinstance(given, str) else bytes(given)
    if size is not None and len(given) != size:
        raise ValueError(f"{len(given)} bytes instead of {size}")
    return given.hex()


def identifier(given):
    if isinstance(given, (bytes, bytearray)):
        given = uuid.UUID(bytes=bytes(given))
    return str(uuid.UUID(str(given)))


def text(given):
    return given.decode() if isinstance(given, bytes) else str(given)


def date(given):
    return str(given if not isinstance(given, str) else datetime.date.fromisoformat(given))


def time(given):
    given = datetime.time.fromisoformat(given) if isinstance(given, str) else given
    return given.isoformat("microseconds")


def wall_clock(given):
    given = datetime.datetime.fromisoformat(given) if isinstance(given, str) else given
    if given.tzinfo is not None:
        raise ValueError(f"a zone in a timestamp without one: {given}")
    return given.isoformat("T", "microseconds")


def instant(given):
    """Without a zone it is UTC: engines are asked with that as their session's zone."""
    given = datetime.datetime.fromisoformat(given) if isinstance(given, str) else given
    given = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    return given.replace(tzinfo=None).isoformat("T", "microseconds") + "Z"


def members(given, types):
    given = given if isinstance(given, dict) else dict(zip(types, given, strict=True))
    if set(given) != set(types):
        raise ValueError(f"members {sorted(given)} instead of {sorted(types)}")
    return {name: value(ty, given[name]) for name, ty in types.items()}


def elements(given, ty):
    return [value(ty, each) for each in given]


def pairs(given, key, of):
    """A map as a dict, as pairs, or as a list of structs of two members."""
    given = given.items() if isinstance(given, dict) else given
    given = [tuple(each.values()) if isinstance(each, dict) else each for each in given]
    return sorted([value(key, k), value(of, v)] for k, v in given)


def emptied(ty, given, kinds):
    """A value as an engine has it that knows no null of these kinds: an empty one in its place."""
    kind, *of = ty if isinstance(ty, tuple) else (ty,)
    if given is None:
        if kind not in kinds:
            return None
        return {name: emptied(each, None, kinds) for name, each in of[0].items()} if kind == "struct" else []
    match kind:
        case "struct":
            return {name: emptied(each, given[name], kinds) for name, each in of[0].items()}
        case "list":
            return [emptied(of[0], each, kinds) for each in given]
    return given


FORMS = {
    "boolean": boolean, "int": integer, "long": integer, "float": single, "double": floating, "decimal": fraction,
    "string": text, "binary": octets, "fixed": octets, "uuid": identifier, "date": date, "time": time,
    "timestamp": wall_clock, "timestamptz": instant, "struct": members, "list": elements, "map": pairs,
}
