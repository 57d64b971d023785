"""Spark with Iceberg's runtime, connected to the REST catalog."""

import os
import sys

from engine.sql import Dialect


def session(lake):
    """A Spark in this process's own JVM."""
    # Its driver listens on nothing but this host.
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    from pyspark.sql import SparkSession

    settings = {
        "spark.master": "local[2]", "spark.driver.memory": "1g", "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": f"{lake.cache}/spark/*",
        "spark.sql.session.timeZone": "UTC", "spark.sql.shuffle.partitions": "2",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "rest", "spark.sql.catalog.lake.uri": lake.uri,
        "spark.sql.catalog.lake.warehouse": lake.catalog,
        # It would not see what others commit meanwhile.
        "spark.sql.catalog.lake.cache-enabled": "false",
    }
    if store := lake.store:
        settings |= {
            "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "spark.sql.catalog.lake.s3.endpoint": store.endpoint, "spark.sql.catalog.lake.s3.path-style-access": "true",
        }
    building = SparkSession.builder
    for key, value in settings.items():
        building = building.config(key, value)
    spark = building.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


class Engine(Dialect):
    def __init__(self, lake):
        self.table, self.spark = f"lake.{lake.table}", session(lake)

    def rows(self):
        return [row.asDict(recursive=True) for row in self.spark.sql(f"SELECT * FROM {self.table}").collect()]

    def count(self, conditions):
        query = f"SELECT count(*) FROM {self.table} WHERE {self.where(conditions)}"
        return self.spark.sql(query).collect()[0][0]

    def change(self, statement):
        return [row.asDict(recursive=True) for row in self.spark.sql(statement).collect()]

    def close(self):
        self.spark.stop()

    def column(self, name):
        return ".".join(f"`{part}`" for part in name.split("."))

    def starts_with(self, column, prefix):
        return f"startswith({column}, {self.string(prefix)})"

    def string(self, value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def float(self, value):
        return f"CAST('{value}' AS FLOAT)"

    def uuid(self, value):
        return self.string(value)

    def timestamp(self, value):
        return f"TIMESTAMP_NTZ '{value}'"

    def timestamptz(self, value):
        return f"TIMESTAMP '{value}'"
