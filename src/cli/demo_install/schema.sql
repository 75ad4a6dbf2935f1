CREATE TABLE public.developers (
    id uuid NOT NULL,
    email text NOT NULL,
    avatar_url text,
    branding_logo_url text,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text,
    full_name text,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.verification_requests (
    id uuid NOT NULL,
    user_id uuid,
    developer_id uuid NOT NULL,
    document_id uuid,
    selfie_id uuid,
    status character varying(50) NOT NULL,
    manual_review_reason text,
    confidence_score numeric(5,4),
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE public.documents (
    id uuid NOT NULL,
    verification_request_id uuid NOT NULL,
    file_path text,
    file_size integer NOT NULL,
    ocr_data jsonb,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.selfies (
    id uuid NOT NULL,
    verification_request_id uuid NOT NULL,
    file_path text,
    file_size integer NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.webhook_deliveries (
    id uuid NOT NULL,
    verification_request_id uuid NOT NULL,
    payload jsonb NOT NULL,
    status character varying(20) NOT NULL,
    attempts integer NOT NULL,
    created_at timestamp with time zone NOT NULL
);
