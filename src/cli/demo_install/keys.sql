ALTER TABLE ONLY public.developers ADD CONSTRAINT developers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.verification_requests
    ADD CONSTRAINT verification_requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.documents ADD CONSTRAINT documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.selfies ADD CONSTRAINT selfies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.webhook_deliveries ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.verification_requests
    ADD CONSTRAINT verification_requests_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.verification_requests
    ADD CONSTRAINT verification_requests_developer_id_fkey
    FOREIGN KEY (developer_id) REFERENCES public.developers(id);
ALTER TABLE ONLY public.verification_requests
    ADD CONSTRAINT verification_requests_document_id_fkey
    FOREIGN KEY (document_id) REFERENCES public.documents(id);
ALTER TABLE ONLY public.verification_requests
    ADD CONSTRAINT verification_requests_selfie_id_fkey
    FOREIGN KEY (selfie_id) REFERENCES public.selfies(id);
ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_verification_request_id_fkey
    FOREIGN KEY (verification_request_id) REFERENCES public.verification_requests(id);
ALTER TABLE ONLY public.selfies
    ADD CONSTRAINT selfies_verification_request_id_fkey
    FOREIGN KEY (verification_request_id) REFERENCES public.verification_requests(id);
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_verification_request_id_fkey
    FOREIGN KEY (verification_request_id) REFERENCES public.verification_requests(id);
