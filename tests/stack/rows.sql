-- A few dozen rows for `schema.sql`, with the same ids, paths and sizes each time. Each file that a
-- row names has the row's size; who lays the files down asks for them:
--
--   SELECT file_path, file_size FROM documents UNION ALL SELECT file_path, file_size FROM selfies;
--
-- and adds `uploads/avatars/<id>.png` and `uploads/branding/<id>_logo.png` of the first developer.

INSERT INTO _migrations (name, applied_at)
SELECT name, '2026-07-01' FROM unnest(ARRAY[
    '01_initial_schema.sql', '13_add_verification_contexts.sql',
    '20260319_add_webhook_deliveries.sql',
    '20_add_address_verification.sql', '46_add_identity_vault.sql', '58_add_service_keys.sql'
]) AS name;

INSERT INTO _system_config (key, value) VALUES
    ('api_key_secret_fingerprint',
     left(encode(sha256('the api key secret of the test stack'), 'hex'), 16));

INSERT INTO developers (id, email, name, avatar_url, branding_logo_url)
SELECT md5('developer ' || n)::uuid, 'dev' || n || '@example.org', 'Developer ' || n,
    CASE n WHEN 1 THEN '/api/public/assets/avatars/' || md5('developer 1')::uuid || '.png' END,
    CASE n WHEN 1 THEN '/api/public/assets/branding/' || md5('developer 1')::uuid || '_logo.png'
           WHEN 2 THEN 'https://cdn.example.org/logo.png' END
FROM generate_series(1, 3) AS n;

INSERT INTO api_keys (id, developer_id, key_hash, key_prefix)
SELECT md5('key ' || n)::uuid, md5('developer ' || n)::uuid, encode(sha256('key'), 'hex'), 'ik_'
FROM generate_series(1, 3) AS n;

-- The twelfth is somebody who was erased.
INSERT INTO users (id, email, first_name, last_name, phone)
SELECT md5('user ' || n)::uuid,
    CASE WHEN n < 12 THEN 'user' || n || '@example.org' END,
    CASE WHEN n < 12 THEN 'Given ' || n END, CASE WHEN n < 12 THEN 'Family ' || n END,
    CASE WHEN n < 12 THEN '+49151000000' || n END
FROM generate_series(1, 12) AS n;

INSERT INTO verification_requests
    (id, user_id, developer_id, api_key_id, status, source, ocr_data, manual_review_reason,
     created_at, updated_at)
SELECT md5('verification ' || n)::uuid,
    CASE WHEN n <> 24 THEN md5('user ' || 1 + n % 12)::uuid END,
    md5('developer ' || 1 + n % 3)::uuid, md5('key ' || 1 + n % 3)::uuid,
    'verified', CASE WHEN n > 21 THEN 'demo' ELSE 'api' END,
    jsonb_build_object('name', 'Given ' || 1 + n % 12, 'note', E'a\ttab, a \\ and\na line'),
    CASE WHEN n = 24 THEN '[GDPR deleted]' END,
    timestamptz '2026-11-01 00:00:00Z' + n * interval '5 hours',
    timestamptz '2026-11-01 00:10:00Z' + n * interval '5 hours'
FROM generate_series(1, 24) AS n;

-- Demos lose their files once they were read; addresses are named after `is_sandbox`.
INSERT INTO documents
    (id, verification_request_id, file_path, file_name, file_size, mime_type, document_type,
     ocr_data, created_at)
SELECT md5('document ' || n)::uuid, md5('verification ' || n)::uuid,
    CASE WHEN n <= 21 THEN 'uploads/documents/'
        || CASE WHEN n = 7 THEN 'false' ELSE md5('verification ' || n)::uuid::text END
        || '_' || 1793491200000 + n * 18000000 || '_' || left(md5('name ' || n), 16)
        || CASE WHEN n % 5 = 0 THEN '.PDF' ELSE '.jpg' END END,
    'scan ' || n || '.jpg', 20000 + 997 * n, 'image/jpeg',
    CASE WHEN n = 7 THEN 'utility_bill' ELSE 'passport' END,
    jsonb_build_object('document_number', md5('number ' || n), 'quote', 'it''s "so"'),
    timestamptz '2026-11-01 00:00:00Z' + n * interval '5 hours'
FROM generate_series(1, 23) AS n;

INSERT INTO selfies
    (id, verification_request_id, file_path, file_name, file_size, liveness_score, created_at)
SELECT md5('selfie ' || n)::uuid, md5('verification ' || n)::uuid,
    CASE WHEN n <= 21 THEN 'uploads/selfies/' || md5('verification ' || n)::uuid
        || '_' || 1793491260000 + n * 18000000 || '_' || left(md5('face ' || n), 16) || '.jpg' END,
    'face.jpg', 15000 + 499 * n, 0.97, timestamptz '2026-11-01 00:01:00Z' + n * interval '5 hours'
FROM generate_series(1, 23) AS n;

UPDATE verification_requests SET
    document_id = md5('document ' || n)::uuid, selfie_id = md5('selfie ' || n)::uuid
FROM generate_series(1, 23) AS n WHERE id = md5('verification ' || n)::uuid;
UPDATE verification_requests SET parent_verification_id = md5('verification 1')::uuid
WHERE id = md5('verification 13')::uuid;
UPDATE documents SET replaces_id = md5('document 1')::uuid WHERE id = md5('document 13')::uuid;

INSERT INTO verification_contexts (verification_id, context)
SELECT md5('verification ' || n)::uuid,
    jsonb_build_object('state', 'COMPLETE', 'face_embedding', repeat(md5('face ' || n), 4))
FROM generate_series(1, 23) AS n;

INSERT INTO verification_risk_scores (id, verification_request_id, overall_score)
SELECT md5('score ' || n)::uuid, md5('verification ' || n)::uuid, n
FROM generate_series(1, 23) AS n;

INSERT INTO aml_screenings (id, verification_request_id, full_name, date_of_birth)
SELECT md5('screening ' || n)::uuid, md5('verification ' || n)::uuid, 'Given ' || n, '1990-01-01'
FROM generate_series(1, 23) AS n;

INSERT INTO dedup_fingerprints (id, developer_id, verification_request_id, hash_value)
SELECT md5('print ' || n)::uuid, md5('developer 1')::uuid, md5('verification ' || n)::uuid,
    left(md5('print ' || n), 16)
FROM generate_series(1, 12) AS n;

INSERT INTO expiry_alerts
    (id, verification_request_id, developer_id, user_id, document_id, expiry_date)
SELECT md5('alert ' || n)::uuid, md5('verification ' || n)::uuid, md5('developer 1')::uuid,
    md5('user ' || 1 + n % 12)::uuid, md5('document ' || n)::uuid, '2027-01-01'
FROM generate_series(1, 4) AS n;

INSERT INTO reverification_schedules
    (id, developer_id, user_id, verification_request_id, next_verification_at)
SELECT md5('schedule ' || n)::uuid, md5('developer 1')::uuid, md5('user ' || 1 + n % 12)::uuid,
    md5('verification ' || n)::uuid, '2027-01-01' FROM generate_series(1, 4) AS n;

INSERT INTO phone_otp_codes (id, verification_request_id, phone_number, code_hash)
SELECT md5('code ' || n)::uuid, md5('verification ' || n)::uuid, '+4915100000', md5('code ' || n)
FROM generate_series(1, 4) AS n;

INSERT INTO phone_otp_rate_limits (verification_request_id)
SELECT md5('verification ' || n)::uuid FROM generate_series(1, 4) AS n;

INSERT INTO verifiable_credentials (id, verification_request_id, developer_id, credential_jwt)
SELECT md5('credential ' || n)::uuid, md5('verification ' || n)::uuid, md5('developer 1')::uuid,
    md5('head') || '.' || md5('body ' || n) || '.' || md5('signature ' || n)
FROM generate_series(1, 4) AS n;

INSERT INTO identity_vault (id, developer_id, vault_token, verification_id, encrypted_data)
SELECT md5('vault ' || n)::uuid, md5('developer 1')::uuid, 'ivt_' || md5('token ' || n),
    md5('verification ' || n)::uuid,
    left(md5('iv ' || n), 24) || ':' || md5('tag ' || n) || ':' || md5('text ' || n)
FROM generate_series(1, 4) AS n;

INSERT INTO vault_share_links (id, vault_id, developer_id, share_token)
VALUES (md5('link 1')::uuid, md5('vault 1')::uuid, md5('developer 1')::uuid, 'ivs_1');

INSERT INTO webhooks (id, developer_id, url, secret_key)
SELECT md5('webhook ' || n)::uuid, md5('developer ' || n)::uuid, 'https://hook.example.org/' || n,
    'whsec_' || md5('secret ' || n) FROM generate_series(1, 3) AS n;

INSERT INTO webhook_deliveries (id, webhook_id, verification_request_id, payload, status)
SELECT md5('delivery ' || n)::uuid, md5('webhook ' || 1 + n % 3)::uuid,
    md5('verification ' || n)::uuid,
    jsonb_build_object('event', 'verification.completed', 'name', 'Given ' || 1 + n % 12),
    'delivered' FROM generate_series(1, 23) AS n;

INSERT INTO api_activity_logs (id, developer_id, method, endpoint, "timestamp")
SELECT md5('log ' || n)::uuid, md5('developer 1')::uuid, 'POST', '/api/v2/verify',
    timestamptz '2026-11-20 00:00:00Z' + n * interval '1 minute' FROM generate_series(1, 30) AS n;
