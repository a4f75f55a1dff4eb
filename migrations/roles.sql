-- The two roles that the service needs. An administrator runs this once, before the first migration:
--
--     mediation-api roles | psql --dbname=mediation
--
-- It may be run again at any time. It needs CREATEROLE, since roles belong to the whole server. The migrations grant
-- the roles their privileges, and need no more than ownership of the database.
--
-- mediation_service  The service connects as this role. It owns nothing and is subject to row security. Give it a
--                    password (\password mediation_service), or create logins of your own:
--                    CREATE ROLE … LOGIN IN ROLE mediation_service.
-- mediation_party    The service sets this role for a transaction that reads on behalf of a party. It cannot log in.

DO $$
BEGIN
    BEGIN
        CREATE ROLE mediation_party NOLOGIN;
    EXCEPTION WHEN duplicate_object THEN
        NULL;
    END;
    BEGIN
        -- NOINHERIT: it may SET ROLE mediation_party, and does not have that role's privileges otherwise.
        CREATE ROLE mediation_service LOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object THEN
        NULL;
    END;
    IF NOT pg_has_role('mediation_service', 'mediation_party', 'MEMBER') THEN
        GRANT mediation_party TO mediation_service;
    END IF;
END
$$;
