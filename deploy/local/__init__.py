"""The whole system on one machine that has nothing but Python: real Kafka, PostgreSQL and Valkey from packages."""
