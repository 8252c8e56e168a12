"""The keywords of every release of HAProxy. Written by tools/make_dialect_table.py: do not edit.

A line is `kind|first release|last release|first that warns|words`. The kind is the place of a word: a section, the
words before it, or "fetch", "converter", "acl". "=" after a word: it takes one argument.
"""

KEYWORDS = r"""
acl|1.4|||hdr hdr_beg hdr_dir hdr_dom hdr_end hdr_len hdr_reg hdr_sub http_auth_group method path path_beg path_dir
acl|1.4|||path_dom path_end path_len path_reg path_sub req_rdp_cookie req_rdp_cookie_cnt req_ssl_ver req_ver resp_ver
acl|1.4|||shdr shdr_beg shdr_dir shdr_dom shdr_end shdr_len shdr_reg shdr_sub url url_beg url_dir url_dom url_end
acl|1.4|||url_len url_reg url_sub
acl|1.5|||base base_beg base_dir base_dom base_end base_len base_reg base_sub cook cook_beg cook_dir cook_dom cook_end
acl|1.5|||cook_len cook_reg cook_sub payload payload_lv req.ssl_ver req_ssl_sni scook scook_beg scook_dir scook_dom
acl|1.5|||scook_end scook_len scook_reg scook_sub ssl_fc_sni_end ssl_fc_sni_reg urlp urlp_beg urlp_dir urlp_dom
acl|1.5|||urlp_end urlp_len urlp_reg urlp_sub
acl-flag|1.4|||-- -f -i -m
acl-flag|1.5|||-M -n -u
acme|3.2|||account-key bits challenge contact curves directory keytype map
acme|3.3|||acme-vars provider-name reuse-key
acme|3.4|||challenge-ready dns-delay dns-timeout eab-key-id eab-mac-alg eab-mac-key profile
acme challenge-ready|3.4|||cli delay dns none
acme eab-mac-alg|3.4|||HS256 HS384 HS512
acme keytype|3.2|||ECDSA RSA
acme reuse-key|3.3|||off on
address prefix|1.5|||abns@ fd@ ipv4@ ipv6@ unix@
address prefix|1.9|||sockpair@
address prefix|2.3|||dgram+ stream+ udp4@ udp6@ udp@
address prefix|2.4|||quic4@ quic6@ tcp4@ tcp6@ tcp@ uxdg@ uxst@
address prefix|2.8|||quic+
address prefix|2.9|||rhttp@
address prefix|3.1|||abnsz@ mptcp4@ mptcp6@ mptcp@
appsession|1.4|1.5||mode path-parameters prefix query-string request-learn
backend|1.4|||acl balance cookie default-server description disabled enabled errorfile errorloc errorloc302 errorloc303
backend|1.4|||force-persist fullconn hash-type http-check http-request http-send-name-header id ignore-persist log mode
backend|1.4|||option persist redirect retries server source stats stick stick-table tcp-request timeout
backend|1.4||3.3|dispatch transparent
backend|1.4|1.5||appsession
backend|1.4|1.5|1.5|reqisetbe reqsetbe
backend|1.4|2.0|1.4|redispatch
backend|1.4|2.0|1.5|block contimeout redisp srvtimeout
backend|1.4|2.0|2.0|cliexp reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep reqitarpit
backend|1.4|2.0|2.0|reqpass reqrep reqtarpit rspadd rspdel rspdeny rspidel rspideny rspirep rsprep srvexp
backend|1.4|2.4|2.3|grace
backend|1.4|2.6|2.5|bind-process
backend|1.5|||compression http-response max-keep-alive-queue tcp-check tcp-response unique-id-format use-server
backend|1.6|||email-alert external-check http-reuse load-server-state-from-file log-tag server-state-file-name
backend|1.7|||filter hash-balance-factor
backend|1.8|||dynamic-cookie-key server-template
backend|2.0|||retry-on
backend|2.1|||use-fcgi-app
backend|2.2|||errorfiles http-after-response http-error
backend|2.3|||srvtcpka-cnt srvtcpka-idle srvtcpka-intvl
backend|3.0|||guid
backend|3.2|||hash-preserve-affinity
backend|3.4|||filter-sequence
balance|1.4|||hdr leastconn rdp-cookie roundrobin source static-rr uri url_param
balance|1.5|||first
balance|1.9|||random
balance|2.6|||hash
balance|2.9|||log-hash sticky
balance hdr|1.4|||use_domain_only
balance uri|1.4|||depth len whole
balance uri|2.3|||path-only
balance url_param|1.4|||check_post
bind|1.4|||defer-accept id= interface= mss= name= transparent
bind|1.5|||accept-proxy alpn= backlog= ca-file= ca-ignore-err= ciphers= crl-file= crt-ignore-err= crt-list= crt= ecdhe=
bind|1.5|||force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 gid= group= level= maxconn= mode= nice= no-sslv3
bind|1.5|||no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 npn= ssl strict-sni tfo uid= user= v4v6 v6only verify=
bind|1.5|2.6|2.5|process=
bind|1.6|||ca-sign-file= ca-sign-pass= generate-certificates namespace= tcp-ut= tls-ticket-keys=
bind|1.7|||accept-netscaler-cip=
bind|1.8|||allow-0rtt curves= expose-fd= force-tlsv13 no-ca-names no-tlsv13 prefer-client-ciphers severity-output=
bind|1.8|||ssl-max-ver= ssl-min-ver=
bind|1.9|||ciphersuites= proto=
bind|2.2|||ca-verify-file=
bind|2.5|||shards= thread=
bind|2.6|||quic-force-retry
bind|2.7|||quic-cc-algo=
bind|2.8|||client-sigalgs= no-alpn sigalgs=
bind|2.9|||nbconn= quic-socket=
bind|3.0|||default-crt= guid-prefix=
bind|3.2|||idle-ping= label= no-strict-sni tls-tickets
bind|3.3|||cc= ech= ktls= tcp-md5sig=
bind|3.4|||tcp-ss=
bind process|1.5|||all even odd
bind quic-cc-algo|2.7|||cubic newreno
bind quic-cc-algo|2.8|||nocc-
bind quic-socket|2.9|||connection listener
bind shards|2.5|||by-thread
bind shards|2.8|||by-group
bind verify|1.5|||none optional required
cache|1.8|||max-age total-max-size
cache|1.9|||max-object-size
cache|2.4|||max-secondary-entries process-vary
cache process-vary|2.4|||off on
capture|1.4|||cookie request response
capture request|1.4|||header
capture response|1.4|||header
compression|1.5|||algo offload type
compression|2.8|||algo-req algo-res direction type-req type-res
compression|3.2|||minsize-req minsize-res
compression algo|1.5|||deflate gzip identity
compression algo|1.6|||raw-deflate
compression direction|2.8|||both request response
converter|1.4|||ipmask lower upper
converter|1.5|||base64 hex http_date language map map_beg map_beg_int map_beg_ip map_dir map_dir_int map_dir_ip map_dom
converter|1.5|||map_dom_int map_dom_ip map_end map_end_int map_end_ip map_int map_int_int map_int_ip map_ip map_ip_int
converter|1.5|||map_ip_ip map_reg map_reg_int map_reg_ip map_str map_str_int map_str_ip map_sub map_sub_int map_sub_ip
converter|1.6|||51d.single add and bool bytes capture-req capture-res cpl crc32 da-csv-conv div djb2 even field
converter|1.6|||in_table json ltime mod mul neg not odd or regsub sdbm set-var sub table_bytes_in_rate
converter|1.6|||table_bytes_out_rate table_conn_cnt table_conn_cur table_conn_rate table_gpc0 table_gpc0_rate
converter|1.6|||table_gpt0 table_http_err_cnt table_http_err_rate table_http_req_cnt table_http_req_rate
converter|1.6|||table_kbytes_in table_kbytes_out table_server_id table_sess_cnt table_sess_rate table_trackers url_dec
converter|1.6|||utime word wt6 xor
converter|1.7|||map_regm unset-var
converter|1.8|||b64dec hex2i nbsrv sha1 xxh32 xxh64
converter|1.9|||concat crc32c length strcmp table_gpc1 table_gpc1_rate
converter|2.0|||aes_gcm_dec protobuf ungrpc
converter|2.1|||sha2 srv_queue
converter|2.2|||cut_crlf debug digest hmac htonl ltrim rtrim secure_memcmp
converter|2.3|||iif
converter|2.4|||fix_is_valid fix_tag_value json_query mqtt_field_value mqtt_is_valid table_http_fail_cnt
converter|2.4|||table_http_fail_rate ub64dec ub64enc url_enc xxh3
converter|2.5|||be2dec be2hex jwt_header_query jwt_payload_query jwt_verify table_gpc table_gpc_rate table_gpt
converter|2.6|||add_item
converter|2.7|||host_only port_only table_expire table_idle x509_v_err_str
converter|2.8|||param rfc7239_field rfc7239_is_valid rfc7239_n2nn rfc7239_n2np
converter|2.9|||ms_ltime ms_utime us_ltime us_utime
converter|3.0|||aes_gcm_enc map_beg_key map_dir_key map_dom_key map_end_key map_int_key map_ip_key map_reg_key
converter|3.0|||map_str_key map_sub_key table_glitch_cnt table_glitch_rate
converter|3.1|||date rfc7239_nn rfc7239_np when
converter|3.2|||table_clr_gpc table_clr_gpc0 table_clr_gpc1 table_inc_gpc table_inc_gpc0 table_inc_gpc1
converter|3.3|||base2 jwt_verify_cert le2dec srv_is_up
converter|3.4|||aes_cbc_dec aes_cbc_enc eth.data eth.dst eth.hdr eth.proto eth.src eth.vlan fe_exists ip.data ip.df
converter|3.4|||ip.dst ip.fp ip.hdr ip.proto ip.src ip.tos ip.ttl ip.ver jwt_decrypt_cert jwt_decrypt_jwk
converter|3.4|||jwt_decrypt_secret reverse reverse_dom tcp.dst tcp.flags tcp.options.mss tcp.options.sack
converter|3.4|||tcp.options.tsopt tcp.options.tsval tcp.options.wscale tcp.options.wsopt tcp.options_list tcp.seq
converter|3.4|||tcp.src tcp.win
cookie|1.4|||domain httponly indirect insert maxidle maxlife nocache postonly prefix preserve rewrite secure
cookie|1.8|||dynamic
cookie|2.2|||attr
crt-store|3.0|||crt-base key-base load
crt-store load|3.0|||alias crt issuer key ocsp ocsp-update sctl
crt-store load|3.2|||acme domains
crt-store load|3.3|||jwt
crt-store load|3.4|||bits curves generate-dummy ips keytype
declare|1.6|||capture
declare capture|1.6|||request response
default-server|1.4|||addr= backup check cookie= disabled downinter= error-limit= fall= fastinter= inter= maxconn=
default-server|1.4|||maxqueue= minconn= observe= on-error= port= redir= rise= slowstart= source track= weight=
default-server|1.5|||agent-check agent-inter= agent-port= check-send-proxy non-stick on-marked-down= on-marked-up=
default-server|1.5|||send-proxy send-proxy-v2
default-server|1.6|||namespace= resolve-prefer= resolvers=
default-server|1.7|||agent-send= init-addr= resolve-net=
default-server|1.8|||agent-addr= allow-0rtt ca-file= check-sni= check-ssl ciphers= crl-file= crt= enabled force-sslv3
default-server|1.8|||force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-agent-check no-backup no-check
default-server|1.8|||no-check-send-proxy no-check-ssl no-send-proxy no-send-proxy-v2 no-send-proxy-v2-ssl
default-server|1.8|||no-send-proxy-v2-ssl-cn no-ssl no-ssl-reuse no-tls-tickets send-proxy-v2-ssl send-proxy-v2-ssl-cn
default-server|1.8|||sni= ssl ssl-max-ver= ssl-min-ver= ssl-reuse stick tcp-ut= tls-tickets verify= verifyhost=
default-server|1.9|||alpn= ciphersuites= npn= pool-max-conn= pool-purge-delay= proto= proxy-v2-options= resolve-opts=
default-server|2.0|||check-alpn= check-via-socks4 max-reuse= socks4=
default-server|2.1|||no-tfo tfo
default-server|2.2|||check-proto= log-proto= pool-low-conn=
default-server|2.5|||ws=
default-server|2.7|||shard=
default-server|2.9|||client-sigalgs= curves= log-bufsize= set-proxy-v2-tlv-fmt sigalgs=
default-server|3.0|||hash-key= pool-conn-name=
default-server|3.1|||init-state=
default-server|3.2|||check-pool-conn-name= check-reuse-pool idle-ping= no-check-reuse-pool strict-maxconn
default-server|3.3|||cc= check-sni-auto ktls= no-check-sni-auto no-renegotiate no-sni-auto renegotiate sni-auto
default-server|3.3|||tcp-md5sig=
default-server|3.4|||healthcheck= quic-cc-algo=
defaults|1.4|||backlog balance cookie default-server default_backend disabled enabled errorfile errorloc errorloc302
defaults|1.4|||errorloc303 fullconn hash-type http-check http-send-name-header log maxconn mode monitor-uri option
defaults|1.4|||persist rate-limit retries source stats timeout
defaults|1.4||3.3|transparent
defaults|1.4|2.0|1.4|redispatch
defaults|1.4|2.0|1.5|clitimeout contimeout redisp srvtimeout
defaults|1.4|2.0|2.0|cliexp srvexp
defaults|1.4|2.2||monitor-net
defaults|1.4|2.4|2.3|grace
defaults|1.4|2.6|2.5|bind-process
defaults|1.5|||compression log-format max-keep-alive-queue unique-id-format unique-id-header
defaults|1.6|||email-alert external-check http-reuse load-server-state-from-file log-format-sd log-tag
defaults|1.6|||server-state-file-name
defaults|1.7|||hash-balance-factor
defaults|1.8|||dynamic-cookie-key
defaults|1.9|||max-session-srv-conns
defaults|2.0|||retry-on
defaults|2.2|||errorfiles http-error tcp-check
defaults|2.3|||clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl
defaults|2.5|||acl error-log-format http-after-response http-request http-response tcp-request tcp-response
defaults|3.1|||log-steps quic-initial
defaults|3.2|||hash-preserve-affinity
email-alert|1.6|||from level mailers myhostname to
external-check|1.6|||command path
fcgi-app|2.1|||acl docroot index log-stderr option pass-header path-info set-param
fcgi-app option|2.1|||get-values keep-conn max-reqs mpxs-conns
fetch|1.4|||always_false always_true avg_queue be_conn be_id be_sess_rate connslots dst dst_conn dst_port fe_conn fe_id
fetch|1.4|||fe_sess_rate hdr hdr_cnt hdr_ip hdr_val http_auth http_auth_group http_first_req method nbsrv path queue
fetch|1.4|||req_len req_proto_http req_ssl_ver req_ver resp_ver shdr shdr_cnt shdr_ip shdr_val so_id src src_port
fetch|1.4|||srv_id srv_is_up status url url_ip url_port wait_end
fetch|1.5|||base base32 base32+src capture.req.hdr capture.req.method capture.req.uri capture.req.ver capture.res.hdr
fetch|1.5|||capture.res.ver cook cook_cnt cook_val cookie date env payload payload_lv rand rdp_cookie rdp_cookie_cnt
fetch|1.5|||rep_ssl_hello_type req.cook req.cook_cnt req.cook_val req.fhdr req.fhdr_cnt req.hdr req.hdr_cnt req.hdr_ip
fetch|1.5|||req.hdr_val req.len req.payload req.payload_lv req.proto_http req.rdp_cookie req.rdp_cookie_cnt
fetch|1.5|||req.ssl_hello_type req.ssl_sni req.ssl_ver req.ver req_ssl_hello_type req_ssl_sni res.comp res.comp_algo
fetch|1.5|||res.cook res.cook_cnt res.cook_val res.fhdr res.fhdr_cnt res.hdr res.hdr_cnt res.hdr_ip res.hdr_val res.len
fetch|1.5|||res.payload res.payload_lv res.ssl_hello_type res.ver sc0_bytes_in_rate sc0_bytes_out_rate sc0_clr_gpc0
fetch|1.5|||sc0_conn_cnt sc0_conn_cur sc0_conn_rate sc0_get_gpc0 sc0_gpc0_rate sc0_http_err_cnt sc0_http_err_rate
fetch|1.5|||sc0_http_req_cnt sc0_http_req_rate sc0_inc_gpc0 sc0_kbytes_in sc0_kbytes_out sc0_sess_cnt sc0_sess_rate
fetch|1.5|||sc0_tracked sc0_trackers sc1_bytes_in_rate sc1_bytes_out_rate sc1_clr_gpc0 sc1_conn_cnt sc1_conn_cur
fetch|1.5|||sc1_conn_rate sc1_get_gpc0 sc1_gpc0_rate sc1_http_err_cnt sc1_http_err_rate sc1_http_req_cnt
fetch|1.5|||sc1_http_req_rate sc1_inc_gpc0 sc1_kbytes_in sc1_kbytes_out sc1_sess_cnt sc1_sess_rate sc1_tracked
fetch|1.5|||sc1_trackers sc2_bytes_in_rate sc2_bytes_out_rate sc2_clr_gpc0 sc2_conn_cnt sc2_conn_cur sc2_conn_rate
fetch|1.5|||sc2_get_gpc0 sc2_gpc0_rate sc2_http_err_cnt sc2_http_err_rate sc2_http_req_cnt sc2_http_req_rate
fetch|1.5|||sc2_inc_gpc0 sc2_kbytes_in sc2_kbytes_out sc2_sess_cnt sc2_sess_rate sc2_tracked sc2_trackers
fetch|1.5|||sc_bytes_in_rate sc_bytes_out_rate sc_clr_gpc0 sc_conn_cnt sc_conn_cur sc_conn_rate sc_get_gpc0
fetch|1.5|||sc_gpc0_rate sc_http_err_cnt sc_http_err_rate sc_http_req_cnt sc_http_req_rate sc_inc_gpc0 sc_kbytes_in
fetch|1.5|||sc_kbytes_out sc_sess_cnt sc_sess_rate sc_tracked sc_trackers scook scook_cnt scook_val src_bytes_in_rate
fetch|1.5|||src_bytes_out_rate src_clr_gpc0 src_conn_cnt src_conn_cur src_conn_rate src_get_gpc0 src_gpc0_rate
fetch|1.5|||src_http_err_cnt src_http_err_rate src_http_req_cnt src_http_req_rate src_inc_gpc0 src_kbytes_in
fetch|1.5|||src_kbytes_out src_sess_cnt src_sess_rate src_updt_conn_cnt srv_conn srv_sess_rate ssl_bc
fetch|1.5|||ssl_bc_alg_keysize ssl_bc_cipher ssl_bc_protocol ssl_bc_session_id ssl_bc_unique_id ssl_bc_use_keysize
fetch|1.5|||ssl_c_ca_err ssl_c_ca_err_depth ssl_c_err ssl_c_i_dn ssl_c_key_alg ssl_c_notafter ssl_c_notbefore
fetch|1.5|||ssl_c_s_dn ssl_c_serial ssl_c_sha1 ssl_c_sig_alg ssl_c_used ssl_c_verify ssl_c_version ssl_f_i_dn
fetch|1.5|||ssl_f_key_alg ssl_f_notafter ssl_f_notbefore ssl_f_s_dn ssl_f_serial ssl_f_sha1 ssl_f_sig_alg ssl_f_version
fetch|1.5|||ssl_fc ssl_fc_alg_keysize ssl_fc_alpn ssl_fc_cipher ssl_fc_has_crt ssl_fc_has_sni ssl_fc_npn
fetch|1.5|||ssl_fc_protocol ssl_fc_session_id ssl_fc_sni ssl_fc_unique_id ssl_fc_use_keysize table_avl table_cnt url32
fetch|1.5|||url32+src url_param urlp urlp_val
fetch|1.5|2.4||set-cookie
fetch|1.6|||51d.all bin bool da-csv-fetch int ipv4 ipv6 meth nbproc proc query req.body req.body_len req.body_param
fetch|1.6|||req.body_size req.hdr_names req.ssl_ec_ext req.ssl_st_ext res.hdr_names sc0_get_gpt0 sc1_get_gpt0
fetch|1.6|||sc2_get_gpt0 sc_get_gpt0 src_get_gpt0 ssl_c_der ssl_f_der ssl_fc_is_resumed stopping str var
fetch|1.7|||dst_is_local fc_fackets fc_lost fc_reordering fc_retrans fc_rtt fc_rttvar fc_sacked fc_unacked fe_req_rate
fetch|1.7|||src_is_local unique-id wurfl-get wurfl-get-all
fetch|1.8|||be_name distcc_body distcc_param fc_http_major fc_rcvd_proxy fe_name hostname req.hdrs req.hdrs_bin
fetch|1.8|||srv_queue ssl_fc_cipherlist_bin ssl_fc_cipherlist_hex ssl_fc_cipherlist_str ssl_fc_cipherlist_xxh
fetch|1.8|||ssl_fc_has_early thread
fetch|1.9|||bc_http_major be_conn_free cpu_calls cpu_ns_avg cpu_ns_tot date_us fe_defbe lat_ns_avg lat_ns_tot
fetch|1.9|||prio_class prio_offset sc0_clr_gpc1 sc0_get_gpc1 sc0_gpc1_rate sc0_inc_gpc1 sc1_clr_gpc1 sc1_get_gpc1
fetch|1.9|||sc1_gpc1_rate sc1_inc_gpc1 sc2_clr_gpc1 sc2_get_gpc1 sc2_gpc1_rate sc2_inc_gpc1 sc_clr_gpc1 sc_get_gpc1
fetch|1.9|||sc_gpc1_rate sc_inc_gpc1 src_clr_gpc1 src_get_gpc1 src_gpc1_rate src_inc_gpc1 srv_conn_free ssl_bc_alpn
fetch|1.9|||ssl_bc_is_resumed ssl_bc_npn ssl_bc_session_key ssl_fc_session_key
fetch|2.0|||req.ssl_alpn ssl_bc_client_random ssl_bc_server_random ssl_fc_client_random ssl_fc_server_random
fetch|2.1|||fc_pp_authority fcgi.docroot fcgi.index http_auth_pass http_auth_type http_auth_user srv_name uuid
fetch|2.2|||fc_pp_unique_id internal.htx.data internal.htx.free internal.htx.free_data internal.htx.has_eom
fetch|2.2|||internal.htx.nbblks internal.htx.size internal.htx.used internal.htx_blk.data internal.htx_blk.hdrname
fetch|2.2|||internal.htx_blk.hdrval internal.htx_blk.size internal.htx_blk.start_line internal.htx_blk.type
fetch|2.2|||internal.strm.is_htx res.body res.body_len res.body_size res.hdrs res.hdrs_bin so_name
fetch|2.2|||ssl_fc_client_early_traffic_secret ssl_fc_client_handshake_traffic_secret ssl_fc_client_traffic_secret_0
fetch|2.2|||ssl_fc_early_exporter_secret ssl_fc_exporter_secret ssl_fc_server_handshake_traffic_secret
fetch|2.2|||ssl_fc_server_traffic_secret_0 ssl_s_der ssl_s_i_dn ssl_s_key_alg ssl_s_notafter ssl_s_notbefore ssl_s_s_dn
fetch|2.2|||ssl_s_serial ssl_s_sha1 ssl_s_sig_alg ssl_s_version
fetch|2.3|||pathq res.cache_hit res.cache_name srv_iweight srv_uweight srv_weight ssl_c_chain_der ssl_s_chain_der
fetch|2.4|||baseq bc_dst bc_dst_port bc_src bc_src_port be_server_timeout be_tunnel_timeout cur_server_timeout
fetch|2.4|||cur_tunnel_timeout fe_client_timeout sc0_http_fail_cnt sc0_http_fail_rate sc1_http_fail_cnt
fetch|2.4|||sc1_http_fail_rate sc2_http_fail_cnt sc2_http_fail_rate sc_http_fail_cnt sc_http_fail_rate
fetch|2.4|||src_http_fail_cnt src_http_fail_rate
fetch|2.5|||bc_err bc_err_str fc_dst fc_dst_is_local fc_dst_port fc_err fc_err_str fc_src fc_src_is_local fc_src_port
fetch|2.5|||http_auth_bearer sc1_clr_gpc sc_clr_gpc sc_get_gpc sc_get_gpt sc_gpc_rate sc_inc_gpc src_clr_gpc
fetch|2.5|||src_get_gpc src_get_gpt src_gpc_rate src_inc_gpc ssl_bc_err ssl_bc_err_str ssl_fc_ecformats_bin
fetch|2.5|||ssl_fc_eclist_bin ssl_fc_err ssl_fc_err_str ssl_fc_extlist_bin ssl_fc_protocol_hello_id
fetch|2.6|||last_rule_file last_rule_line
fetch|2.8|||bc_rtt bc_rttvar quic_enabled ssl_c_r_dn
fetch|2.8|2.9||ssl_ocsp_certid ssl_ocsp_certname ssl_ocsp_fail_cnt ssl_ocsp_status ssl_ocsp_status_str
fetch|2.8|2.9||ssl_ocsp_success_cnt
fetch|2.9|||accept_date acl act_conn bc.timer.connect bs.id bytes_in bytes_out cur_client_timeout fc.timer.handshake
fetch|2.9|||fc.timer.total fc_pp_tlv fs.id pid req.cook_names req.timer.hdr req.timer.idle req.timer.queue req.timer.tq
fetch|2.9|||request_date res.cook_names res.timer.data res.timer.hdr server_status ssl_bc_curve ssl_fc_curve
fetch|2.9|||txn.conn_retries txn.id32 txn.sess_term_state txn.status txn.timer.total txn.timer.user
fetch|3.0|||bc_be_queue bc_glitches bc_nb_streams bc_srv_queue bs.aborted bs.rst_code fc_glitches fc_nb_streams
fetch|3.0|||fc_settings_streams_limit fs.aborted fs.rst_code sc0_glitch_cnt sc0_glitch_rate sc1_glitch_cnt
fetch|3.0|||sc1_glitch_rate sc2_glitch_cnt sc2_glitch_rate sc_glitch_cnt sc_glitch_rate src_glitch_cnt src_glitch_rate
fetch|3.0|||ssl_bc_client_early_traffic_secret ssl_bc_client_handshake_traffic_secret ssl_bc_client_traffic_secret_0
fetch|3.0|||ssl_bc_early_exporter_secret ssl_bc_exporter_secret ssl_bc_server_handshake_traffic_secret
fetch|3.0|||ssl_bc_server_traffic_secret_0 txn.redispatched uptime
fetch|3.0|3.3||bc_setting_streams_limit
fetch|3.1|||bc_err_name bs.debug_str fc_err_name fs.debug_str last_entity spoe.engine-id ssl_c_san ssl_fc_sigalgs_bin
fetch|3.1|||ssl_fc_supported_versions_bin waiting_entity
fetch|3.2|||bc_reused req.ssl_cipherlist req.ssl_keyshare_groups req.ssl_sigalgs req.ssl_supported_groups sc0_key
fetch|3.2|||sc1_key sc2_key sc_key term_events
fetch|3.3|||req.bytes_in req.bytes_out res.bytes_in res.bytes_out ssl_bc_sni ssl_fc_early_rcvd ssl_fc_ech_outer_sni
fetch|3.3|||ssl_fc_ech_status
fetch|3.4|||bc_settings_streams_limit be_connect_timeout be_queue_timeout be_tarpit_timeout cpu_usage_grp
fetch|3.4|||cpu_usage_proc cpu_usage_thr cur_connect_timeout cur_queue_timeout cur_tarpit_timeout dump_all_vars
fetch|3.4|||fc_saved_syn fe_tarpit_timeout ssl_fc_crtname tgroup
filter|1.7|||compression spoe trace
filter|1.9|||cache
filter|2.1|||fcgi-app
filter|2.7|||bwlim-in bwlim-out
filter|3.4|||comp-req comp-res
filter spoe|1.7|||config engine
filter trace|1.7|||hexdump name random-forwarding random-parsing
filter trace|2.4|||quiet
filter trace|3.4|||max-fwd
filter-sequence|3.4|||request response
frontend|1.4|||acl backlog bind capture default_backend description disabled enabled errorfile errorloc errorloc302
frontend|1.4|||errorloc303 force-persist http-request id ignore-persist log maxconn mode monitor monitor-uri option
frontend|1.4|||rate-limit redirect stats stick-table tcp-request timeout use_backend
frontend|1.4|1.5|1.5|reqisetbe reqsetbe
frontend|1.4|2.0|1.5|block clitimeout
frontend|1.4|2.0|2.0|cliexp reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep reqitarpit
frontend|1.4|2.0|2.0|reqpass reqrep reqtarpit rspadd rspdel rspdeny rspidel rspideny rspirep rsprep srvexp
frontend|1.4|2.2||monitor-net
frontend|1.4|2.4|2.3|grace
frontend|1.4|2.6|2.5|bind-process
frontend|1.5|||compression http-response log-format unique-id-format unique-id-header
frontend|1.6|||declare email-alert log-format-sd log-tag
frontend|1.7|||filter
frontend|1.9|||max-session-srv-conns
frontend|2.2|||errorfiles http-after-response http-error
frontend|2.3|||clitcpka-cnt clitcpka-idle clitcpka-intvl
frontend|2.5|||error-log-format
frontend|3.0|||guid
frontend|3.1|||log-steps quic-initial
frontend|3.2|||ssl-f-use
frontend|3.4|||filter-sequence force-be-switch
global|1.4|||chroot daemon description gid group log log-send-hostname log-tag maxconn maxpipes node noepoll nokqueue
global|1.4|||nopoll nosplice pidfile quiet spread-checks stats tune.bufsize tune.maxaccept tune.maxpollevents
global|1.4|||tune.maxrewrite tune.rcvbuf.client tune.rcvbuf.server tune.sndbuf.client tune.sndbuf.server uid ulimit-n
global|1.4|||user
global|1.4|1.4||nosepoll
global|1.4|2.2|2.2|debug
global|1.4|2.4|2.3|nbproc
global|1.4|2.4|2.4|tune.chksize
global|1.5|||ca-base cpu-map crt-base max-spread-checks maxcompcpuusage maxcomprate maxconnrate maxsessrate maxsslconn
global|1.5|||maxsslrate maxzlibmem nogetaddrinfo ssl-default-bind-ciphers ssl-default-server-ciphers ssl-server-verify
global|1.5|||tune.comp.maxlevel tune.http.cookielen tune.http.maxhdr tune.idletimer tune.pipesize tune.ssl.cachesize
global|1.5|||tune.ssl.default-dh-param tune.ssl.force-private-cache tune.ssl.lifetime tune.ssl.maxrecord
global|1.5|||tune.zlib.memlevel tune.zlib.windowsize unix-bind
global|1.6|||51degrees-cache-size 51degrees-data-file 51degrees-property-name-list 51degrees-property-separator
global|1.6|||deviceatlas-json-file deviceatlas-log-level deviceatlas-properties-cookie deviceatlas-property-separator
global|1.6|||external-check lua-load server-state-base server-state-file ssl-default-bind-options
global|1.6|||ssl-default-server-options ssl-dh-param-file tune.buffers.limit tune.buffers.reserve tune.lua.forced-yield
global|1.6|||tune.lua.maxmem tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout
global|1.6|||tune.pattern.cache-size tune.ssl.ssl-ctx-cache-size tune.vars.global-max-size tune.vars.reqres-max-size
global|1.6|||tune.vars.sess-max-size tune.vars.txn-max-size
global|1.7|||noreuseport presetenv resetenv setenv tune.recv_enough tune.vars.proc-max-size unsetenv wurfl-cache-size
global|1.7|||wurfl-data-file wurfl-engine-mode wurfl-information-list wurfl-information-list-separator wurfl-patch-file
global|1.7|||wurfl-useragent-priority
global|1.8|||hard-stop-after nbthread ssl-engine ssl-mode-async tune.h2.header-table-size tune.h2.initial-window-size
global|1.8|||tune.h2.max-concurrent-streams tune.http.logurilen
global|1.8||2.5|tune.ssl.capture-cipherlist-size
global|1.8||3.3|master-worker
global|1.9|||busy-polling profiling.tasks ssl-default-bind-ciphersuites ssl-default-server-ciphersuites
global|1.9|||tune.runqueue-depth
global|2.0|||mworker-max-reloads noevports set-dumpable tune.h2.max-frame-size tune.listener.multi-queue
global|2.0|||tune.pool-high-fd-ratio tune.pool-low-fd-ratio
global|2.1|||h1-case-adjust h1-case-adjust-file strict-limits
global|2.2|||insecure-fork-wanted insecure-setuid-wanted issuers-chain-path localpeer lua-prepend-path
global|2.2|||pp2-never-send-local ssl-default-bind-curves ssl-load-extra-files ssl-skip-self-issued-ca
global|2.2|||tune.fd.edge-triggered tune.idle-pool.shared tune.sched.low-latency tune.ssl.keylog
global|2.2|||tune.vars.check-max-size zero-warning
global|2.3|||ssl-load-extra-del-ext
global|2.4|||default-path expose-experimental-directives lua-load-per-thread numa-cpu-mapping profiling.memory set-var
global|2.5|||grace h2-workaround-bogus-websocket-clients set-var-fmt thread-group thread-groups
global|2.5|||tune.ssl.capture-buffer-size
global|2.6|||close-spread-time cluster-secret fd-hard-limit h1-accept-payload-with-any-method httpclient.resolvers.id
global|2.6|||httpclient.resolvers.prefer httpclient.ssl.ca-file httpclient.ssl.verify no-memory-trimming ssl-propquery
global|2.6|||ssl-provider ssl-provider-path tune.fail-alloc tune.ssl.hard-maxrecord
global|2.6||3.3|tune.quic.frontend.max-idle-timeout tune.quic.frontend.max-streams-bidi tune.quic.retry-threshold
global|2.6|3.0||tune.quic.backend.max-idle-timeou
global|2.6|3.2|3.2|tune.quic.frontend.conn-tx-buffers.limit
global|2.7|||anonkey quick-exit tune.peers.max-updates-at-once
global|2.7|3.0||trace
global|2.8|||51degrees-allow-unmatched 51degrees-difference 51degrees-drift 51degrees-use-performance-graph
global|2.8|||51degrees-use-predictive-graph httpclient.resolvers.disabled prealloc-fd ssl-default-bind-client-sigalgs
global|2.8|||ssl-default-bind-sigalgs tune.disable-fast-forward tune.h2.be.initial-window-size
global|2.8|||tune.h2.be.max-concurrent-streams tune.h2.fe.initial-window-size tune.h2.fe.max-concurrent-streams
global|2.8|||tune.listener.default-shards tune.lua.burst-timeout tune.memory.hot-size tune.ssl.ocsp-update.maxdelay
global|2.8|||tune.ssl.ocsp-update.mindelay tune.stick-counters
global|2.8||3.3|tune.quic.max-frame-loss tune.quic.socket-owner
global|2.8|3.2||no-quic
global|2.9|||httpclient.retries httpclient.timeout.connect limited-quic setcap ssl-default-server-client-sigalgs
global|2.9|||ssl-default-server-curves ssl-default-server-sigalgs tune.disable-zero-copy-forwarding
global|2.9|||tune.events.max-events-at-once tune.h1.zero-copy-fwd-recv tune.h1.zero-copy-fwd-send
global|2.9|||tune.h2.zero-copy-fwd-send tune.lua.log.loggers tune.lua.log.stderr tune.max-checks-per-thread
global|2.9|||tune.pt.zero-copy-forwarding tune.quic.zero-copy-fwd-send tune.rcvbuf.backend tune.rcvbuf.frontend
global|2.9|||tune.sndbuf.backend tune.sndbuf.frontend
global|3.0|||deviceatlas-cache-size expose-deprecated-directives harden.reject-privileged-ports.quic
global|3.0|||harden.reject-privileged-ports.tcp http-err-codes http-fail-codes key-base ocsp-update.disable
global|3.0|||ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode ssl-security-level
global|3.0|||stats-file thread-hard-limit tune.applet.zero-copy-forwarding tune.h2.be.glitches-threshold
global|3.0|||tune.h2.fe.glitches-threshold tune.h2.fe.max-total-streams tune.ring.queues
global|3.0||3.3|tune.quic.cc-hystart tune.quic.frontend.glitches-threshold tune.quic.reorder-ratio
global|3.1|||force-cfg-parser-pause h1-do-not-close-on-insecure-transfer-encoding tune.bufsize.small tune.h2.be.rxbuf
global|3.1|||tune.h2.fe.rxbuf tune.renice.runtime tune.renice.startup warn-blocked-traffic-after
global|3.1||3.3|tune.quic.cc.cubic.min-losses tune.quic.disable-udp-gso tune.quic.frontend.default-max-window-size
global|3.2|||acme.scheduler cpu-policy cpu-set debug.counters dns-accept-family stress-level tune.epoll.mask-events
global|3.2|||tune.glitches.kill.cpu-usage tune.lua.bool-sample-conversion tune.max-rules-at-once
global|3.2|||tune.notsent-lowat.client tune.notsent-lowat.server tune.takeover-other-tg-connections
global|3.2||3.3|tune.quic.disable-tx-pacing tune.quic.frontend.max-data-size tune.quic.frontend.max-tx-mem
global|3.2||3.3|tune.quic.frontend.stream-data-ratio
global|3.3|||noktls shm-stats-file shm-stats-file-max-objects ssl-passphrase-cmd tune.quic.be.cc.cubic-min-losses
global|3.3|||tune.quic.be.cc.hystart tune.quic.be.cc.max-frame-loss tune.quic.be.cc.max-win-size
global|3.3|||tune.quic.be.cc.reorder-ratio tune.quic.be.max-idle-timeout tune.quic.be.sec.glitches-threshold
global|3.3|||tune.quic.be.stream.data-ratio tune.quic.be.stream.max-concurrent tune.quic.be.stream.rxbuf
global|3.3|||tune.quic.be.tx.pacing tune.quic.be.tx.udp-gso tune.quic.fe.cc.cubic-min-losses tune.quic.fe.cc.hystart
global|3.3|||tune.quic.fe.cc.max-frame-loss tune.quic.fe.cc.max-win-size tune.quic.fe.cc.reorder-ratio
global|3.3|||tune.quic.fe.max-idle-timeout tune.quic.fe.sec.glitches-threshold tune.quic.fe.sec.retry-threshold
global|3.3|||tune.quic.fe.sock-per-conn tune.quic.fe.stream.data-ratio tune.quic.fe.stream.max-concurrent
global|3.3|||tune.quic.fe.stream.rxbuf tune.quic.fe.tx.pacing tune.quic.fe.tx.udp-gso tune.quic.listen
global|3.3|||tune.quic.mem.tx-max
global|3.4|||cpu-affinity jwt.decrypt_alg_list jwt.decrypt_enc_list max-threads-per-group tune.bufsize.large
global|3.4|||tune.cli.max-payload-size tune.defaults.purge tune.h1.be.glitches-threshold tune.h1.fe.glitches-threshold
global|3.4|||tune.h2.be.max-frames-at-once tune.h2.fe.max-frames-at-once tune.h2.fe.max-rst-at-once tune.h2.log-errors
global|3.4|||tune.lua.openlibs tune.quic.fe.stream.max-total tune.ssl.certificate-compression tune.streams-elasticity
global 51degrees-allow-unmatched|2.8|||off on
global 51degrees-use-performance-graph|2.8|||off on
global 51degrees-use-predictive-graph|2.8|||off on
global acme.scheduler|3.2|||auto off
global close-spread-time|2.6|||infinite
global cpu-map|1.5|1.7||all even odd
global cpu-policy|3.4|||1 auto threads-per-core
global cpu-set|3.2|||drop-cluster drop-core drop-cpu drop-node drop-thread only-cluster only-core only-cpu only-node
global cpu-set|3.2|||only-thread reset
global debug.counters|3.2|||off on
global default-path|2.4|||config current origin parent
global dns-accept-family|3.2|||auto ipv4 ipv6
global external-check|2.9|||preserve-env
global harden.reject-privileged-ports.quic|3.0|||off on
global harden.reject-privileged-ports.tcp|3.0|||off on
global httpclient.resolvers.disabled|2.8|||off on
global httpclient.resolvers.prefer|2.6|||ipv4 ipv6
global httpclient.ssl.verify|2.6|||none required
global master-worker|1.8|||no-exit-on-failure
global ocsp-update.disable|3.0|||off on
global ocsp-update.mode|3.0|||off on
global profiling.memory|2.4|||off on
global profiling.tasks|1.9|||off on
global profiling.tasks|2.0|||auto
global profiling.tasks|3.4|||lock memory no-lock no-memory
global set-dumpable|3.4|||libs off on
global ssl-default-bind-options|1.6|||force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 no-sslv3 no-tls-tickets
global ssl-default-bind-options|1.6|||no-tlsv10 no-tlsv11 no-tlsv12
global ssl-default-bind-options|1.8|||force-tlsv13 no-tlsv13 prefer-client-ciphers ssl-max-ver ssl-min-ver
global ssl-default-bind-options|3.2|||no-strict-sni strict-sni tls-tickets
global ssl-default-server-options|1.6|||force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 no-sslv3 no-tls-tickets
global ssl-default-server-options|1.6|||no-tlsv10 no-tlsv11 no-tlsv12
global ssl-default-server-options|1.8|||force-tlsv13 no-tlsv13 ssl-max-ver ssl-min-ver
global ssl-default-server-options|3.3|||no-renegotiate renegotiate
global ssl-engine|1.8|||algo
global ssl-server-verify|1.5|||none required
global stats|1.4|||maxconn socket timeout
global stats|1.5|2.6||bind-process
global stats|3.4|||calculate-max-counters
global tune.applet.zero-copy-forwarding|3.0|||off on
global tune.epoll.mask-events|3.2|||err hup rdhup
global tune.fd.edge-triggered|2.2|||off on
global tune.h1.zero-copy-fwd-recv|2.9|||off on
global tune.h1.zero-copy-fwd-send|2.9|||off on
global tune.h2.be.max-concurrent-streams|3.4|||auto ignore min rq-load
global tune.h2.fe.max-concurrent-streams|3.4|||auto ignore min rq-load
global tune.h2.log-errors|3.4|||connection none stream
global tune.h2.max-concurrent-streams|3.4|||auto ignore min rq-load
global tune.h2.zero-copy-fwd-send|2.9|||off on
global tune.idle-pool.shared|2.2|||off on
global tune.idle-pool.shared|3.4|||full
global tune.listener.default-shards|2.8|||by-group by-process by-thread
global tune.listener.multi-queue|2.0|||off on
global tune.listener.multi-queue|2.8|||fair
global tune.pt.zero-copy-forwarding|2.9|||off on
global tune.quic.fe.sock-per-conn|3.3|||default-on force-off
global tune.quic.socket-owner|2.8|||connection listener
global tune.quic.zero-copy-fwd-send|2.9|2.9||off on
global tune.sched.low-latency|2.2|||off on
global tune.ssl.certificate-compression|3.4|||auto off
global tune.ssl.keylog|2.2|||off on
global unix-bind|1.5|||gid group mode prefix uid user
hash-preserve-affinity|3.2|||always maxconn maxqueue
hash-type|1.4|||consistent map-based
hash-type function|1.4|||djb2 sdbm wt6
hash-type function|1.6|||crc32
hash-type function|2.9|||none
hash-type modifier|1.5|||avalanche
healthcheck|3.4|||http-check tcp-check type
healthcheck type|3.4|||httpchk ldap-check mysql-check pgsql-check redis-check smtpchk spop-check ssl-hello-chk
healthcheck type|3.4|||tcp-check
http reply|2.2|||content-type default-errorfiles errorfile errorfiles file hdr lf-file lf-string status string
http-after-response|2.2|||add-header allow del-header replace-header replace-value set-header set-status set-var
http-after-response|2.2|||strict-mode unset-var
http-after-response|2.5|||set-var-fmt
http-after-response|2.6|||capture
http-after-response|2.8|||del-acl del-map sc-add-gpc sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt sc-set-gpt0
http-after-response|2.8|||set-log-level set-map
http-after-response|3.1|||do-log
http-after-response|3.4|||add-headers-bin del-headers-bin set-headers-bin
http-after-response add-headers-bin|3.4|||prefix
http-after-response set-headers-bin|3.4|||prefix
http-after-response set-log-level|2.8|||silent
http-after-response set-status|2.2|||reason
http-after-response strict-mode|2.2|||off on
http-check|1.4|||disable-on-404 expect send-state
http-check|2.2|||comment connect send set-var unset-var
http-check|2.5|||set-var-fmt
http-check connect|2.2|||addr alpn comment default linger port proto send-proxy sni ssl via-socks4
http-check expect|1.4|||rstatus rstring status string
http-check expect|2.2|||-m comment error-status fhdr hdr min-recv ok-status on-error on-success status-code string-lf
http-check expect|2.2|||tout-status
http-check send|2.2|||body body-lf comment hdr meth uri uri-lf ver
http-errors|2.2|||errorfile
http-request|1.4|||allow auth deny
http-request|1.5|||add-acl add-header del-acl del-header del-map redirect replace-header replace-value set-header
http-request|1.5|||set-log-level set-map set-mark set-nice set-tos tarpit
http-request|1.5|2.1||block
http-request|1.6|||capture sc-inc-gpc0 sc-set-gpt0 set-method set-path set-query set-src set-src-port set-uri set-var
http-request|1.6|||silent-drop track-sc0 track-sc1 track-sc2 use-service
http-request|1.7|||set-dst set-dst-port unset-var
http-request|1.8|||cache-use reject send-spoe-group wait-for-handshake
http-request|1.9|||early-hint sc-inc-gpc1 set-priority-class set-priority-offset
http-request|2.0|||disable-l7-retry do-resolve replace-uri
http-request|2.2|||replace-path return strict-mode
http-request|2.3|||replace-pathq set-pathq
http-request|2.4|||normalize-uri set-timeout wait-for-body
http-request|2.5|||sc-inc-gpc sc-set-gpt set-var-fmt
http-request|2.7|||set-bandwidth-limit
http-request|2.8|||sc-add-gpc
http-request|3.0|||set-bc-mark set-bc-tos set-fc-mark set-fc-tos
http-request|3.1|||do-log set-retries
http-request|3.2|||pause
http-request|3.4|||add-headers-bin del-headers-bin set-headers-bin
http-request add-headers-bin|3.4|||prefix
http-request auth|2.2|||realm
http-request normalize-uri|2.4|||fragment-encode fragment-strip full path-merge-slashes path-strip-dot
http-request normalize-uri|2.4|||path-strip-dotdot percent-decode-unreserved percent-to-uppercase query-sort-by-name
http-request normalize-uri|2.4|||strict
http-request set-bandwidth-limit|2.7|||limit period
http-request set-headers-bin|3.4|||prefix
http-request set-log-level|2.2|||silent
http-request strict-mode|2.2|||off on
http-request wait-for-body|2.4|||at-least time
http-request wait-for-body|3.4|||use-large-buffer
http-response|1.5|||add-acl add-header allow del-acl del-header del-map deny replace-header replace-value set-header
http-response|1.5|||set-log-level set-map set-mark set-nice set-tos
http-response|1.6|||capture redirect sc-inc-gpc0 sc-set-gpt0 set-status set-var silent-drop
http-response|1.7|||track-sc0 track-sc1 track-sc2 unset-var
http-response|1.8|||cache-store send-spoe-group
http-response|1.9|||sc-inc-gpc1
http-response|2.2|||return strict-mode
http-response|2.4|||wait-for-body
http-response|2.5|||sc-inc-gpc sc-set-gpt set-var-fmt
http-response|2.7|||set-bandwidth-limit
http-response|2.8|||sc-add-gpc
http-response|2.9|||set-timeout
http-response|3.0|||set-fc-mark set-fc-tos
http-response|3.1|||do-log
http-response|3.2|||pause
http-response|3.4|||add-headers-bin del-headers-bin set-headers-bin
http-response add-headers-bin|3.4|||prefix
http-response set-bandwidth-limit|2.7|||limit period
http-response set-headers-bin|3.4|||prefix
http-response set-log-level|2.2|||silent
http-response set-status|1.8|||reason
http-response strict-mode|2.2|||off on
http-response wait-for-body|2.4|||at-least time
http-response wait-for-body|3.4|||use-large-buffer
http-reuse|1.6|||aggressive always never safe
listen|1.4|||acl backlog balance bind capture cookie default-server default_backend description disabled enabled
listen|1.4|||errorfile errorloc errorloc302 errorloc303 force-persist fullconn hash-type http-check http-request
listen|1.4|||http-send-name-header id ignore-persist log maxconn mode monitor monitor-uri option persist rate-limit
listen|1.4|||redirect retries server source stats stick stick-table tcp-request timeout use_backend
listen|1.4||3.3|dispatch transparent
listen|1.4|1.5||appsession
listen|1.4|1.5|1.5|reqisetbe reqsetbe
listen|1.4|2.0|1.4|redispatch
listen|1.4|2.0|1.5|block clitimeout contimeout redisp srvtimeout
listen|1.4|2.0|2.0|cliexp reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep reqitarpit reqpass
listen|1.4|2.0|2.0|reqrep reqtarpit rspadd rspdel rspdeny rspidel rspideny rspirep rsprep srvexp
listen|1.4|2.2||monitor-net
listen|1.4|2.4|2.3|grace
listen|1.4|2.6|2.5|bind-process
listen|1.5|||compression http-response log-format max-keep-alive-queue tcp-check tcp-response unique-id-format
listen|1.5|||unique-id-header use-server
listen|1.6|||declare email-alert external-check http-reuse load-server-state-from-file log-format-sd log-tag
listen|1.6|||server-state-file-name
listen|1.7|||filter hash-balance-factor
listen|1.8|||dynamic-cookie-key server-template
listen|1.9|||max-session-srv-conns
listen|2.0|||retry-on
listen|2.1|||use-fcgi-app
listen|2.2|||errorfiles http-after-response http-error
listen|2.3|||clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl
listen|2.5|||error-log-format
listen|3.0|||guid
listen|3.1|||log-steps quic-initial
listen|3.2|||hash-preserve-affinity ssl-f-use
listen|3.4|||filter-sequence force-be-switch
load-server-state-from-file|1.6|||global local none
log|1.4|||global
log|1.5|||fd@
log|1.6|||format len
log|1.9|||stderr stdout
log|2.0|||sample
log|2.1|||ring@
log|2.9|||backend@
log|3.1|||profile
log format|1.6|||rfc3164 rfc5424
log format|1.9|||raw short
log format|2.3|||iso priority timed
log format|2.4|||local
log-forward|2.3|||backlog bind dgram-bind log maxconn timeout
log-forward|3.2|||option
log-forward option|3.2|||assume-rfc6587-ntf dont-parse-log host
log-forward option host|3.2|||append fill keep replace
log-forward timeout|2.3|||client
log-profile|3.1|||log-tag on
log-profile on|3.1|||accept any close connect error request response
log-profile on args|3.1|||drop format sd
mailers|1.6|||mailer
mailers|1.7|||timeout
mailers timeout|1.7|||mail
mode|1.4|||http tcp
mode|1.4|2.2||health
mode|2.9|||log
mode|3.1|||spop
mode|3.4|||haterm
monitor|1.4|||fail
namespace_list|1.6|||namespace
option|1.4|||abortonclose allbackups checkcache clitcpka contstats dontlog-normal dontlognull forwardfor http-no-delay
option|1.4|||http-pretend-keepalive http-server-close http-use-proxy-header httpchk httpclose httplog ldap-check
option|1.4|||log-health-checks log-separate-errors logasap mysql-check nolinger originalto persist redispatch smtpchk
option|1.4|||socket-stats splice-auto splice-request splice-response srvtcpka ssl-hello-chk tcp-smart-accept
option|1.4|||tcp-smart-connect tcpka tcplog
option|1.4||3.2|accept-invalid-http-request accept-invalid-http-response
option|1.4||3.3|transparent
option|1.4|1.4||keepalive
option|1.4|2.0||independant-streams
option|1.4|2.4||http_proxy
option|1.4|2.4|2.0|forceclose
option|1.5|||http-keep-alive independent-streams pgsql-check prefer-last-server redis-check tcp-check
option|1.5|2.4|2.0|http-tunnel
option|1.6|||external-check http-buffer-request http-ignore-probes
option|1.7|||spop-check
option|1.9|2.4|2.1|http-use-htx
option|2.1|||h1-case-adjust-bogus-client h1-case-adjust-bogus-server
option|2.2|||disable-h2-upgrade
option|2.5|||httpslog
option|2.6|||http-restrict-req-hdr-names idle-close-on-response
option|2.8|||forwarded
option|3.1|||accept-unsafe-violations-in-http-request accept-unsafe-violations-in-http-response
option|3.2|||http-drop-request-trailers http-drop-response-trailers
option|3.4|||use-small-buffers
option forwarded|2.8|||by by-expr by_port by_port-expr for for-expr for_port for_port-expr host host-expr proto
option forwardfor|1.4|||except header if-none
option http-restrict-req-hdr-names|2.6|||delete preserve reject
option httplog|1.4|||clf
option mysql-check|1.4|||user
option mysql-check|1.5|||post-41
option mysql-check|2.2|||pre-41
option mysql-check|3.4|||post-80
option originalto|1.4|||except header
option pgsql-check|1.5|||user
option smtpchk|1.4|||EHLO HELO
option tcplog|3.1|||clf
option use-small-buffers|3.4|||check l7-retries queue
peers|1.5|||peer
peers|1.6|||disabled enabled
peers|2.0|||bind default-bind default-server server table
peers|2.1|||log
peers|2.7|||shards
persist|1.4|||rdp-cookie
prefix|1.4|||default no
program|2.0|3.2||command option
program|2.1|3.2||group user
program option|2.0|3.2||start-on-reload
proto|1.9|||h2
proto|2.1|||fcgi
proto|2.4|||h1 none
proto|2.5|||quic
proto|3.1|||spop
proto|3.4|||qmux
proxy log-steps|3.1|||all
quic-initial|3.1|||accept dgram-drop do-log reject send-retry
rate-limit|1.4|||sessions
redirect|1.4|||append-slash clear-cookie code drop-query location prefix scheme set-cookie
redirect|2.5|||ignore-empty
redirect|3.1|||keep-query set-cookie-fmt
resolvers|1.6|||hold nameserver resolve_retries timeout
resolvers|1.8|||accepted_payload_size
resolvers|1.8|1.9|1.8|resolution_pool_size
resolvers|1.9|||parse-resolv-conf
resolvers hold|1.6|||valid
resolvers hold|1.7|||nx other refused timeout
resolvers hold|1.8|||obsolete
resolvers timeout|1.6|||retry
resolvers timeout|1.8|||resolve
retry-on|2.0|||0rtt-rejected 404 408 425 500 501 502 503 504 all-retryable-errors conn-failure empty-response
retry-on|2.0|||junk-response none response-timeout
retry-on|2.4|||401 403
retry-on|3.1|||429
retry-on|3.2|||421
ring|2.2|||description format maxlen server size timeout
ring|2.7|||backing-file
ring timeout|2.2|||connect server
server|1.4|||addr= backup check cookie= disabled downinter= error-limit= fall= fastinter= id= inter= maxconn= maxqueue=
server|1.4|||minconn= observe= on-error= port= redir= rise= slowstart= source track= weight=
server|1.5|||agent-check agent-inter= agent-port= ca-file= check-send-proxy check-ssl ciphers= crl-file= crt=
server|1.5|||force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12
server|1.5|||non-stick on-marked-down= on-marked-up= send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn
server|1.5|||ssl verify= verifyhost=
server|1.6|||namespace= no-ssl-reuse resolve-prefer= resolvers= sni= tcp-ut=
server|1.7|||agent-send= init-addr= resolve-net=
server|1.8|||agent-addr= allow-0rtt check-sni= enabled force-tlsv13 no-agent-check no-backup no-check
server|1.8|||no-check-send-proxy no-check-ssl no-send-proxy no-send-proxy-v2 no-send-proxy-v2-ssl
server|1.8|||no-send-proxy-v2-ssl-cn no-ssl no-tlsv13 ssl-max-ver= ssl-min-ver= ssl-reuse stick tls-tickets
server|1.9|||alpn= ciphersuites= npn= pool-max-conn= pool-purge-delay= proto= proxy-v2-options= resolve-opts=
server|2.0|||check-alpn= check-via-socks4 max-reuse= socks4= tfo
server|2.1|||no-tfo
server|2.2|||check-proto= log-proto= pool-low-conn=
server|2.5|||ws=
server|2.7|||shard=
server|2.9|||client-sigalgs= curves= log-bufsize= set-proxy-v2-tlv-fmt sigalgs=
server|3.0|||guid= hash-key= pool-conn-name=
server|3.1|||init-state=
server|3.2|||check-pool-conn-name= check-reuse-pool idle-ping= no-check-reuse-pool strict-maxconn
server|3.3|||cc= check-sni-auto ktls= no-check-sni-auto no-renegotiate no-sni-auto renegotiate sni-auto tcp-md5sig=
server|3.4|||healthcheck= quic-cc-algo=
server hash-key|3.0|||addr addr-port id
server hash-key|3.4|||guid id32
server init-addr|1.7|||last libc none
server init-state|3.1|||down fully-down fully-up up
server init-state|3.4|||none
server ktls|3.3|||off on
server log-proto|2.2|||legacy octet-count
server observe|1.4|||layer4 layer7 none
server on-error|1.4|||fail-check fastinter mark-down sudden-death
server on-marked-down|1.5|||shutdown-sessions
server on-marked-up|1.5|||shutdown-backup-sessions
server proxy-v2-options|1.9|||authority cert-cn cert-key cert-sig crc32c ssl ssl-cipher
server proxy-v2-options|2.2|||unique-id
server resolve-opts|1.9|||allow-dup-ip prevent-dup-ip
server resolve-opts|2.1|||ignore-weight
server resolve-prefer|1.6|||ipv4 ipv6
server source|1.4|||interface usesrc
server verify|1.5|||none required
server ws|2.5|||auto h1 h2
server-state-file-name|1.6|||use-backend-name
set-timeout|2.4|||server tunnel
set-timeout|2.9|||client
set-timeout|3.4|||connect queue tarpit
set-var condition|2.6|||ifempty ifexists ifgt iflt ifnotempty ifnotexists ifnotset ifset
source|1.4|||client clientip hdr_ip interface usesrc
ssl-min-ver|1.8|||SSLv3 TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3
stats|1.4|||admin auth enable hide-version http-request realm refresh scope show-desc show-legends show-node uri
stats|2.3|||show-modules
stats|3.4|||show-version
stats socket|1.4|||gid group level mode uid user
stats socket|1.5|||accept-proxy alpn= backlog= ca-file= ca-ignore-err= ciphers= crl-file= crt-ignore-err= crt-list=
stats socket|1.5|||crt= defer-accept ecdhe= force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 id= interface= maxconn=
stats socket|1.5|||mss= name= nice= no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 npn= ssl strict-sni tfo
stats socket|1.5|||transparent v4v6 v6only verify=
stats socket|1.5|2.6|2.5|process=
stats socket|1.6|||ca-sign-file= ca-sign-pass= generate-certificates namespace= tcp-ut= tls-ticket-keys=
stats socket|1.7|||accept-netscaler-cip=
stats socket|1.8|||allow-0rtt curves= expose-fd= force-tlsv13 no-ca-names no-tlsv13 prefer-client-ciphers
stats socket|1.8|||severity-output= ssl-max-ver= ssl-min-ver=
stats socket|1.9|||ciphersuites= proto=
stats socket|2.2|||ca-verify-file=
stats socket|2.5|||shards= thread=
stats socket|2.6|||quic-force-retry
stats socket|2.7|||quic-cc-algo=
stats socket|2.8|||client-sigalgs= no-alpn sigalgs=
stats socket|2.9|||nbconn= quic-socket=
stats socket|3.0|||default-crt= guid-prefix=
stats socket|3.2|||idle-ping= label= no-strict-sni tls-tickets
stats socket|3.3|||cc= ech= ktls= tcp-md5sig=
stats socket|3.4|||tcp-ss=
stick|1.4|||match on store-request store-response
stick-table|1.4|||expire nopurge size type
stick-table|1.5|||peers store
stick-table|2.4|||srvkey
stick-table|2.9|||write-to
stick-table|3.1|||brates-factor
stick-table|3.2|||recv-only
stick-table srvkey|2.4|||addr name
stick-table store|1.5|||bytes_in_cnt bytes_in_rate bytes_out_cnt bytes_out_rate conn_cnt conn_cur conn_rate gpc0
stick-table store|1.5|||gpc0_rate http_err_cnt http_err_rate http_req_cnt http_req_rate server_id sess_cnt sess_rate
stick-table store|1.6|||gpt0
stick-table store|1.9|||gpc1 gpc1_rate
stick-table store|2.0|||server_name
stick-table store|2.4|||http_fail_cnt http_fail_rate server_key
stick-table store|2.5|||gpc gpc_rate gpt
stick-table store|3.0|||glitch_cnt glitch_rate
stick-table type|1.4|||integer ip string
stick-table type|1.5|||binary ipv6
tcp-check|1.5|||connect expect send send-binary
tcp-check|1.6|||comment
tcp-check|2.2|||send-binary-lf send-lf set-var unset-var
tcp-check|2.5|||set-var-fmt
tcp-check connect|1.5|||port send-proxy ssl
tcp-check connect|1.6|||comment
tcp-check connect|2.2|||addr alpn default linger proto sni via-socks4
tcp-check expect|1.5|||binary rstring string
tcp-check expect|1.6|||comment
tcp-check expect|2.2|||binary-lf error-status min-recv ok-status on-error on-success rbinary string-lf tout-status
tcp-request|1.4|||content inspect-delay
tcp-request|1.5|||connection
tcp-request|1.7|||session
tcp-request connection|1.5|||accept expect-proxy reject track-sc0 track-sc1 track-sc2
tcp-request connection|1.6|||sc-inc-gpc0 sc-set-gpt0 silent-drop
tcp-request connection|1.7|||expect-netscaler-cip set-dst set-dst-port set-src set-src-port
tcp-request connection|1.9|||sc-inc-gpc1
tcp-request connection|2.5|||sc-inc-gpc sc-set-gpt set-mark set-tos set-var set-var-fmt unset-var
tcp-request connection|2.8|||sc-add-gpc
tcp-request connection|3.0|||set-fc-mark set-fc-tos
tcp-request connection|3.1|||do-log
tcp-request content|1.4|||accept reject
tcp-request content|1.5|||capture track-sc0 track-sc1 track-sc2
tcp-request content|1.6|||sc-inc-gpc0 sc-set-gpt0 set-var silent-drop use-service
tcp-request content|1.7|||unset-var
tcp-request content|1.8|||send-spoe-group
tcp-request content|1.9|||sc-inc-gpc1 set-priority-class set-priority-offset
tcp-request content|2.0|||do-resolve set-dst set-dst-port
tcp-request content|2.4|||switch-mode
tcp-request content|2.5|||sc-inc-gpc sc-set-gpt set-log-level set-mark set-nice set-src set-src-port set-tos
tcp-request content|2.5|||set-var-fmt
tcp-request content|2.7|||set-bandwidth-limit
tcp-request content|2.8|||sc-add-gpc
tcp-request content|3.0|||set-bc-mark set-bc-tos set-fc-mark set-fc-tos
tcp-request content|3.1|||do-log set-retries
tcp-request content set-bandwidth-limit|2.7|||limit period
tcp-request content set-log-level|2.5|||silent
tcp-request content switch-mode|2.4|||http proto
tcp-request session|1.7|||accept reject sc-inc-gpc0 sc-set-gpt0 set-dst set-dst-port set-src set-src-port set-var
tcp-request session|1.7|||silent-drop track-sc0 track-sc1 track-sc2 unset-var
tcp-request session|1.9|||sc-inc-gpc1
tcp-request session|2.5|||sc-inc-gpc sc-set-gpt set-mark set-tos set-var-fmt
tcp-request session|2.8|||sc-add-gpc
tcp-request session|2.9|||attach-srv
tcp-request session|3.0|||set-fc-mark set-fc-tos
tcp-request session|3.1|||do-log
tcp-response|1.5|||content inspect-delay
tcp-response content|1.5|||accept close reject
tcp-response content|1.6|||sc-inc-gpc0 sc-set-gpt0 set-var silent-drop
tcp-response content|1.7|||unset-var
tcp-response content|1.8|||send-spoe-group
tcp-response content|1.9|||sc-inc-gpc1
tcp-response content|2.5|||sc-inc-gpc sc-set-gpt set-log-level set-mark set-nice set-tos set-var-fmt
tcp-response content|2.7|||set-bandwidth-limit
tcp-response content|2.8|||sc-add-gpc
tcp-response content|3.0|||set-fc-mark set-fc-tos
tcp-response content|3.1|||do-log
tcp-response content set-bandwidth-limit|2.7|||limit period
tcp-response content set-log-level|2.5|||silent
timeout|1.4|||check client connect http-keep-alive http-request queue server tarpit
timeout|1.4|2.0|1.5|clitimeout contimeout srvtimeout
timeout|1.5|||client-fin server-fin tunnel
timeout|2.9|||client-hs
traces|3.1|||trace
use-service|2.0|||prometheus-exporter
userlist|1.4|||group user
userlist group|1.4|||users
userlist user|1.4|||groups insecure-password password
"""
