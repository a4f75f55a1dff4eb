-- The two roles that the service needs. An administrator runs this once, before the first migration:
--
--     mediation-api roles | psql --dbname=mediation
--
-- It may be run again at any time. Roles belong to the whole server, so that it takes CREATEROLE; the migrations grant
-- to these roles what each may do, and need no more than to own the database.
--
-- mediation_service  what the service connects as. It owns nothing, and row security holds for it. Give it a password
--                    (\password mediation_service), or make logins of your own: CREATE ROLE … LOGIN IN ROLE
--                    mediation_service.
-- mediation_party    what the service becomes, for one transaction, to read what a party is shown. Nobody logs in as it.

DO $$
BEGIN
    BEGIN
        CREATE ROLE mediation_party NOLOGIN;
    EXCEPTION WHEN duplicate_object THEN
        NULL;
    END;
    BEGIN
        -- NOINHERIT: it may become mediation_party, and is not mediation_party all the time.
        CREATE ROLE mediation_service LOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object THEN
        NULL;
    END;
    IF NOT pg_has_role('mediation_service', 'mediation_party', 'MEMBER') THEN
        GRANT mediation_party TO mediation_service;
    END IF;
END
$$;
