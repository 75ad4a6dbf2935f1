-- The tables of an Idswyft community database, as far as an archive of one can tell: names, types,
-- keys that go in circles, row security that is enabled and not forced. PostgreSQL 15 and later.

CREATE TABLE _migrations (
    name text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE _system_config (
    key text PRIMARY KEY,
    value text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email varchar(255),
    first_name text,
    last_name text,
    phone text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE developers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email varchar(255) UNIQUE NOT NULL,
    name varchar(255) NOT NULL,
    company varchar(255),
    avatar_url text,
    branding_logo_url text,
    is_verified boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    key_hash text NOT NULL,
    key_prefix varchar(20) NOT NULL,
    is_sandbox boolean DEFAULT false,
    is_active boolean DEFAULT true,
    last_used_at timestamptz,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE verification_requests (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    api_key_id uuid REFERENCES api_keys (id) ON DELETE SET NULL,
    parent_verification_id uuid REFERENCES verification_requests (id),
    document_id uuid,
    selfie_id uuid,
    status varchar(20) NOT NULL DEFAULT 'pending',
    source text,
    ocr_data jsonb,
    face_match_score numeric(5,4),
    manual_review_reason text,
    duplicate_flags jsonb,
    is_sandbox boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    replaces_id uuid REFERENCES documents (id),
    file_path text,
    file_name varchar(255) NOT NULL,
    file_size integer NOT NULL,
    mime_type varchar(100) NOT NULL,
    document_type varchar(50) NOT NULL,
    ocr_data jsonb,
    quality_analysis jsonb,
    barcode_data jsonb,
    cross_validation_results jsonb,
    is_sandbox boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE selfies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    file_path text,
    file_name varchar(255) NOT NULL,
    file_size integer NOT NULL,
    enrollment_audio_path text,
    liveness_score numeric(5,4),
    is_sandbox boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);

ALTER TABLE verification_requests
    ADD CONSTRAINT fk_verification_document
        FOREIGN KEY (document_id) REFERENCES documents (id) ON DELETE SET NULL,
    ADD CONSTRAINT fk_verification_selfie
        FOREIGN KEY (selfie_id) REFERENCES selfies (id) ON DELETE SET NULL;

CREATE TABLE verification_contexts (
    verification_id uuid PRIMARY KEY,
    context jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE verification_risk_scores (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid UNIQUE REFERENCES verification_requests (id) ON DELETE CASCADE,
    overall_score integer NOT NULL CHECK (overall_score BETWEEN 0 AND 100),
    risk_factors jsonb DEFAULT '[]'
);

CREATE TABLE aml_screenings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid REFERENCES verification_requests (id) ON DELETE CASCADE,
    full_name text NOT NULL,
    date_of_birth text,
    matches jsonb DEFAULT '[]',
    lists_checked text[] DEFAULT '{}'
);

CREATE TABLE dedup_fingerprints (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    hash_value text NOT NULL
);

CREATE TABLE expiry_alerts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    user_id uuid REFERENCES users (id) ON DELETE SET NULL,
    document_id uuid REFERENCES documents (id) ON DELETE SET NULL,
    expiry_date date NOT NULL
);

CREATE TABLE reverification_schedules (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    verification_request_id uuid REFERENCES verification_requests (id) ON DELETE SET NULL,
    next_verification_at timestamptz NOT NULL
);

CREATE TABLE phone_otp_codes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    phone_number text NOT NULL,
    code_hash text NOT NULL
);

CREATE TABLE phone_otp_rate_limits (
    verification_request_id uuid PRIMARY KEY
        REFERENCES verification_requests (id) ON DELETE CASCADE,
    send_count integer NOT NULL DEFAULT 1
);

CREATE TABLE verifiable_credentials (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    verification_request_id uuid REFERENCES verification_requests (id) ON DELETE CASCADE,
    developer_id uuid REFERENCES developers (id) ON DELETE CASCADE,
    credential_jwt text
);

CREATE TABLE identity_vault (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    vault_token text NOT NULL UNIQUE,
    verification_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    encrypted_data text NOT NULL,
    encryption_key_id text NOT NULL DEFAULT 'v1',
    status text NOT NULL DEFAULT 'active',
    access_count integer NOT NULL DEFAULT 0
);

CREATE TABLE vault_share_links (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    vault_id uuid NOT NULL REFERENCES identity_vault (id) ON DELETE CASCADE,
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    share_token text NOT NULL UNIQUE
);

CREATE TABLE webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    url text NOT NULL,
    secret_key text,
    is_active boolean DEFAULT true
);

CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id uuid NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    verification_request_id uuid NOT NULL REFERENCES verification_requests (id) ON DELETE CASCADE,
    payload jsonb NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'pending',
    response_body text,
    attempts integer DEFAULT 0,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE api_activity_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    developer_id uuid REFERENCES developers (id) ON DELETE CASCADE,
    method varchar(10) NOT NULL,
    endpoint text NOT NULL,
    "timestamp" timestamptz DEFAULT now()
);

CREATE INDEX idx_verification_user ON verification_requests (user_id);
CREATE INDEX idx_documents_verification ON documents (verification_request_id);
CREATE INDEX idx_selfies_verification ON selfies (verification_request_id);

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$;

CREATE TRIGGER update_verification_requests_updated_at BEFORE UPDATE ON verification_requests
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER trg_verification_contexts_updated_at BEFORE UPDATE ON verification_contexts
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    END LOOP;
END;
$$;
