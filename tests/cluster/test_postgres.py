"""The engine that the other tests rely on: it survives what they do to it, as a real one does."""


def test_what_is_committed_outlives_a_kill_of_the_engine(own_postgres):
    database = own_postgres.new_database()
    database.execute("CREATE TABLE kept (a int)")
    database.execute("INSERT INTO kept VALUES (1)")

    own_postgres.restart()

    assert database.execute("SELECT a FROM kept") == [(1,)]


def test_each_test_has_a_database_of_its_own(database, postgres):
    other = postgres.new_database()
    database.execute("CREATE TABLE mine ()")
    assert other.execute("SELECT to_regclass('mine')") == [(None,)]
    postgres.drop(other)


def test_the_engine_syncs_as_a_real_one(database):
    assert database.execute("SHOW fsync") == [("on",)]
    assert database.execute("SHOW synchronous_commit") == [("on",)]
