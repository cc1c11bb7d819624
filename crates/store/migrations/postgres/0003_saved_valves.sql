-- What admins turned, a row a pipe. No version is ever given twice.
CREATE SEQUENCE pipewright.saved_valves_version;
CREATE TABLE pipewright.saved_valves (
    pipe TEXT PRIMARY KEY,
    version BIGINT NOT NULL DEFAULT nextval('pipewright.saved_valves_version'),
    -- A JSON object, or what stands for it when it is sealed.
    content TEXT NOT NULL,
    sealed BOOLEAN NOT NULL,
    saved TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Whoever listens hears of every change, however it was made.
CREATE FUNCTION pipewright.saved_valves_turned() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('pipewright_valves', COALESCE(NEW.pipe, OLD.pipe));
    RETURN NULL;
END $$;
CREATE TRIGGER saved_valves_turned AFTER INSERT OR UPDATE OR DELETE ON pipewright.saved_valves
    FOR EACH ROW EXECUTE FUNCTION pipewright.saved_valves_turned();
