-- The limits of the account.

CREATE TABLE governor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    rate float8 NOT NULL,
    in_flight int NOT NULL
);

CREATE FUNCTION limit_to(its_rate float8, its_in_flight int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO governor (rate, in_flight) VALUES (its_rate, its_in_flight)
    ON CONFLICT (one) DO UPDATE SET rate = excluded.rate, in_flight = excluded.in_flight
$$;
