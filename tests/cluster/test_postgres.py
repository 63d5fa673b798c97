"""The engine that the other tests rely on: it survives what they do to it, as a real one does."""


def test_a_commit_survives_a_kill_of_the_database(own_postgres):
    database = own_postgres.new_database()
    database.execute("CREATE TABLE kept (a int)")
    database.execute("INSERT INTO kept VALUES (1)")

    own_postgres.restart()

    assert database.execute("SELECT a FROM kept") == [(1,)]


def test_each_test_has_its_own_database(database, postgres):
    other = postgres.new_database()
    database.execute("CREATE TABLE mine ()")
    assert other.execute("SELECT to_regclass('mine')") == [(None,)]
    postgres.drop(other)


def test_the_database_syncs_to_disk(database):
    assert database.execute("SHOW fsync") == [("on",)]
    assert database.execute("SHOW synchronous_commit") == [("on",)]
