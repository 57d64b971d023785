"""Filters as SQL, as the standard has it; engines whose SQL differs say where."""


class Dialect:
    def where(self, conditions):
        return " AND ".join(map(self.condition, conditions))

    def condition(self, asked):
        column = self.column(asked["column"])
        values = [self.literal(asked["type"], value) for value in asked["values"]]
        match asked["kind"]:
            case "is null" | "is not null":
                return f"{column} {asked['kind'].upper()}"
            case "=":
                return f"{column} = {values[0]}"
            case "in":
                return f"{column} IN ({', '.join(values)})"
            case "between":
                return f"{column} >= {values[0]} AND {column} < {values[1]}"
            case "starts with":
                return self.starts_with(column, asked["values"][0])
        raise ValueError(asked["kind"])

    def column(self, name):
        return ".".join(f'"{part}"' for part in name.split("."))

    def starts_with(self, column, prefix):
        # None of those that are asked for has a wildcard in it.
        return f"{column} LIKE {self.string(prefix + '%')}"

    def literal(self, ty, value):
        """A value in its canonical form (see canonical.py)."""
        kind, *of = ty if isinstance(ty, list) else [ty]
        return getattr(self, kind)(value, *of)

    def boolean(self, value):
        return str(value).lower()

    def int(self, value):
        return str(value)

    def long(self, value):
        return str(value)

    def double(self, value):
        return f"CAST('{value}' AS DOUBLE)"

    def float(self, value):
        return f"CAST('{value}' AS REAL)"

    def decimal(self, value, precision, scale):
        return f"CAST('{value}' AS DECIMAL({precision}, {scale}))"

    def string(self, value):
        return "'" + value.replace("'", "''") + "'"

    def binary(self, value):
        return f"X'{value}'"

    def fixed(self, value, _size):
        return self.binary(value)

    def uuid(self, value):
        return f"UUID '{value}'"

    def date(self, value):
        return f"DATE '{value}'"

    def time(self, value):
        return f"TIME '{value}'"

    def timestamp(self, value):
        return f"TIMESTAMP '{value.replace('T', ' ')}'"

    def timestamptz(self, value):
        return f"TIMESTAMP '{value.replace('T', ' ').removesuffix('Z')} UTC'"
