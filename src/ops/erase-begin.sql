CREATE TEMP TABLE idswyft_vault_verifications (id uuid PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE idswyft_vault_paths (file_path text) ON COMMIT DROP;
DO $erase$
DECLARE
    name text;
BEGIN
    IF to_regclass('public.verification_requests') IS NOT NULL THEN
        INSERT INTO idswyft_vault_verifications
        SELECT id FROM public.verification_requests
        WHERE user_id IN (SELECT id FROM idswyft_vault_users);
    END IF;
    FOREACH name IN ARRAY ARRAY['documents', 'selfies'] LOOP
        IF (SELECT count(*) = 2 FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = name
                AND column_name IN ('file_path', 'verification_request_id')) THEN
            EXECUTE format(
                'INSERT INTO idswyft_vault_paths SELECT file_path FROM public.%I
                 WHERE verification_request_id IN (SELECT id FROM idswyft_vault_verifications)',
                name);
        END IF;
    END LOOP;
END;
$erase$;
