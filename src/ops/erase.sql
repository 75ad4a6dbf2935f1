DO $erase$
DECLARE
    entry text[];
    -- Tables whose rows of a verification go, with the column that names it.
    rows_of constant text[][] := ARRAY[
        ['verification_contexts', 'verification_id'],
        ['verification_risk_scores', 'verification_request_id'],
        ['expiry_alerts', 'verification_request_id'],
        ['reverification_schedules', 'verification_request_id'],
        ['phone_otp_codes', 'verification_request_id'],
        ['phone_otp_rate_limits', 'verification_request_id'],
        ['dedup_fingerprints', 'verification_request_id'],
        ['aml_screenings', 'verification_request_id'],
        ['documents', 'verification_request_id'],
        ['selfies', 'verification_request_id']];
    -- Columns of a kept row, and what they become.
    blanks constant text[][] := ARRAY[
        ['webhook_deliveries', 'payload', '{}', 'verification_request_id'],
        ['verification_requests', 'document_id', NULL, 'id'],
        ['verification_requests', 'selfie_id', NULL, 'id'],
        ['verification_requests', 'manual_review_reason', '[GDPR deleted]', 'id']];
    of_verification constant text := ' IN (SELECT id FROM idswyft_vault_verifications)';
BEGIN
    IF to_regclass('public.users') IS NULL THEN
        RAISE EXCEPTION 'this database has no users';
    END IF;
    FOREACH entry SLICE 1 IN ARRAY blanks LOOP
        IF (SELECT count(*) = 2 FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = entry[1]
                AND column_name IN (entry[2], entry[4])) THEN
            EXECUTE format('UPDATE public.%I SET %I = %L WHERE %I' || of_verification,
                entry[1], entry[2], entry[3], entry[4]);
        END IF;
    END LOOP;
    FOREACH entry SLICE 1 IN ARRAY rows_of LOOP
        IF EXISTS (SELECT FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = entry[1]
                AND column_name = entry[2]) THEN
            EXECUTE format('DELETE FROM public.%I WHERE %I' || of_verification,
                entry[1], entry[2]);
        END IF;
    END LOOP;
    IF to_regclass('public.verification_requests') IS NOT NULL THEN
        UPDATE public.verification_requests SET user_id = NULL
        WHERE user_id IN (SELECT id FROM idswyft_vault_users);
    END IF;
    FOREACH entry SLICE 1 IN ARRAY ARRAY[['email'], ['first_name'], ['last_name'], ['phone']] LOOP
        IF EXISTS (SELECT FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = 'users' AND column_name = entry[1]) THEN
            EXECUTE format('UPDATE public.users SET %I = %L
                WHERE id IN (SELECT id FROM idswyft_vault_users)', entry[1],
                (SELECT CASE is_nullable WHEN 'NO' THEN '' END FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = 'users'
                     AND column_name = entry[1]));
        END IF;
    END LOOP;
END;
$erase$;
