"""The verdict of each release of HAProxy on each phrase. Written by tools/make_dialect_table.py: do not edit.

A line is `verdict sections:phrase;phrase;...`. Verdict: releases from the oldest on, "." accepted, "w"
with a warning, "x" rejected, each for so many releases, the last to the newest ("x3." is rejected by
three, then accepted). Sections by their first letter, "s" for the keywords that open one. Phrases: "#" a
number, "*" a word, "A" an address, "F" a facility or level, "..." the rest, "+x" an option in any place.
"""

TABLE = r"""
. f:acl -i;acl -m;bind +defer-accept;bind +id #;bind +interface *;bind +mss #;bind +name *;bind A;conv lower
. f:fetch always_false;fetch always_true;fetch avg_queue;fetch be_conn;fetch be_sess_rate;fetch connslots;fetch dst
. f:fetch dst_conn;fetch dst_port;fetch fe_conn;fetch fe_id;fetch fe_sess_rate;fetch hdr;fetch hdr_beg;fetch hdr_cnt
. f:fetch hdr_dir;fetch hdr_dom;fetch hdr_end;fetch hdr_ip;fetch hdr_reg;fetch hdr_sub;fetch hdr_val;fetch method
. f:fetch nbsrv;fetch path;fetch path_beg;fetch path_dir;fetch path_dom;fetch path_end;fetch path_reg;fetch path_sub
. f:fetch queue;fetch req_proto_http;fetch req_ver;fetch so_id;fetch src_port;fetch url;fetch url_beg;fetch url_dir
. f:fetch url_dom;fetch url_end;fetch url_ip;fetch url_port;fetch url_reg;fetch url_sub;fetch wait_end;monitor fail if
. f:redirect +append-slash;redirect +clear-cookie *;redirect +code #;redirect +drop-query;redirect +prefix *
. f:redirect +set-cookie *;tcp-request content accept if;tcp-request content reject if;tcp-request inspect-delay #
. f:use_backend * if
. bd:balance hdr();balance hdr() use_domain_only;balance leastconn;balance rdp-cookie;balance roundrobin;balance source
. bd:balance static-rr;balance uri;balance uri +depth #;balance uri +len #;balance url_param *
. bd:balance url_param +check_post;balance url_param +check_post #;cookie *;cookie +domain *;cookie +indirect
. bd:cookie +insert;cookie +nocache;cookie +postonly;cookie +prefix;cookie +rewrite;default-server
. bd:default-server +fall #;default-server +inter #;default-server +rise #;fullconn #;hash-type consistent
. bd:hash-type map-based;no option abortonclose;no option redispatch;option abortonclose;option allbackups
. bd:option checkcache;option httpchk;option httpchk *;option httpchk * *;option httpchk * * *;option log-health-checks
. bd:option mysql-check;option mysql-check user *;option persist;option redispatch;option redispatch #;option smtpchk
. bd:option smtpchk * *;option srvtcpka;option tcp-smart-connect;persist rdp-cookie;retries #;source *;stats auth *
. bd:stats enable;stats hide-version;stats realm *;stats refresh #;stats scope *;stats show-desc ...;stats show-legends
. bd:stats show-node;stats uri *;timeout check #;timeout connect #;timeout queue #;timeout server #
. b:default-server +maxconn #;default-server +maxqueue #;default-server +port #;default-server +slowstart #
. b:default-server +weight #;disabled;fetch status;force-persist if;hash-type consistent *;server * A;server +addr *
. b:server +backup;server +check;server +cookie *;server +downinter #;server +fall #;server +fastinter #;server +id #
. b:server +inter #;server +interface *;server +maxconn #;server +maxqueue #;server +observe layer4
. b:server +observe layer7;server +port #;server +redir *;server +rise #;server +slowstart #;server +source *
. b:server +track *;server +weight #;stats http-request allow if;stick match src;stick on dst_port;stick on src
. b:stick store-request src;stick-table;stick-table +expire #;stick-table +integer;stick-table +ip;stick-table +len #
. b:stick-table +nopurge;stick-table +size #;stick-table +string;stick-table +type
. g:chroot *;daemon;gid #;maxpipes #;node *;noepoll;nokqueue;nopoll;pidfile *;quiet;spread-checks #;stats socket *
. g:stats socket +gid #;stats socket +group *;stats socket +level admin;stats socket +level operator
. g:stats socket +level user;stats socket +mode #;stats socket +uid #;stats socket +user *;tune.bufsize #
. g:tune.maxaccept #;tune.maxpollevents #;tune.maxrewrite #;tune.rcvbuf.client #;tune.rcvbuf.server #
. g:tune.sndbuf.client #;tune.sndbuf.server #;uid #;ulimit-n #
. bdf:enabled;errorfile # *;errorloc # *;errorloc302 # *;errorloc303 # *;log global;mode http;mode tcp
. bdf:no option http-server-close;no option httpclose;option forwardfor;option forwardfor +except *
. bdf:option forwardfor +header *;option http-server-close;option httpclose;option nolinger;option originalto
. bdf:option originalto +except *;option tcpka;timeout http-keep-alive #;timeout http-request #;timeout tarpit #
.8w1x bf:reqadd *;reqallow *;reqdel *;reqdeny *;reqiallow *;reqidel *;reqideny *;reqipass *;reqirep * *;reqitarpit *
.8w1x bf:reqpass *;reqrep * *;reqtarpit *;rspadd *;rspdel *;rspdeny *;rspidel *;rspideny *;rspirep * *;rsprep * *
x3. f:address /;address ipv4@;address unix@;bind +accept-proxy;bind +backlog #;bind +maxconn #;bind +nice #;bind +tfo
x3. f:bind +v4v6;fetch cook;fetch req.hdr;fetch url_param;http-request add-header * *;http-request del-header *
x3. f:http-request set-log-level *;http-request tarpit;tcp-request connection reject;unique-id-format *;use_backend *
. df:backlog #;default_backend *;monitor-uri *;no option contstats;no option dontlognull;option clitcpka
. df:option contstats;option dontlog-normal;option dontlognull;option http-use-proxy-header;option log-separate-errors
. df:option logasap;option socket-stats;option tcp-smart-accept;rate-limit sessions #;timeout client #
x3. b:http-response set-header * *;max-keep-alive-queue #;server +agent-check;server +agent-port #
x3. b:server +check-send-proxy;server +minconn #;server +non-stick;server +on-marked-down shutdown-sessions
x3. b:server +on-marked-up shutdown-backup-sessions;server +send-proxy;stick-table +conn_cur;stick-table +ipv6
x3. b:stick-table +store;use-server * if
w3. f:capture cookie * len #;capture request header * len #;capture response header * len #;stats auth *;stats enable
w3. f:stats hide-version;stats realm *;stats refresh #;stats scope *;stats show-desc ...;stats show-legends
w3. f:stats show-node;stats uri *
w f:default option redispatch;no option redispatch;option httpchk;option httpchk *;option httpchk * *
w f:option httpchk * * *;option redispatch;option redispatch #;timeout check #;timeout connect #;timeout queue #
w f:timeout server #
w20x b:no option contstats;no option dontlognull;option clitcpka;option contstats;option dontlog-normal
w20x b:option dontlognull;option http-use-proxy-header;option log-separate-errors;option logasap;option socket-stats
w20x b:option tcp-smart-accept
x2. b:http-check expect ! rstatus *;http-check expect ! rstring *;http-check expect ! status #
x2. b:http-check expect ! string *;http-check expect rstatus *;http-check expect rstring *;http-check expect string *
x2. b:server +usesrc *;source +usesrc *;stats admin if
. bf:acl;fetch src;http-request allow if;http-request auth realm * if;http-request deny if;id #;redirect +location *
. bf:redirect if
x2. bd:cookie +httponly;cookie +maxidle #;cookie +maxlife #;cookie +preserve;cookie +secure;http-check expect status #
x2. bd:http-send-name-header *;option ldap-check
w20x f:option allbackups;option checkcache;option log-health-checks;option persist;option srvtcpka
w20x f:option tcp-smart-connect;option transparent
x1. b:ignore-persist if;server +disabled;server +error-limit #;server +on-error fail-check;server +on-error fastinter
x1. b:server +on-error mark-down;server +on-error sudden-death
x3. bd:balance first;option pgsql-check user *;option prefer-last-server;option redis-check;option tcp-check
x3. bd:timeout server-fin #;timeout tunnel #
. s:section backend;section defaults;section frontend;section global;section listen;section userlist
x2. f:bind +transparent;fetch hdr_len;fetch http_first_req;fetch path_len;redirect;redirect +scheme *
x3w f:log-format *;option pgsql-check user *;option redis-check;option tcp-check;timeout server-fin #;timeout tunnel #
.3w6x bd:contimeout #;srvtimeout #;timeout contimeout #;timeout srvtimeout #
x6. b:default-server +backup;default-server +check;default-server +observe layer7;server +enabled
. bdfg:log * F;log * F F;log * F F F
. u:group +users *;user +groups *;user +insecure-password *
.12w f:fetch req_len;fetch req_rdp_cookie_cnt;fetch req_ssl_ver
.7w b:option httplog;option httplog clf;option tcplog
.3x f:default option forceclose;default option http-server-close;default option httpclose
w b:maxconn #;option accept-invalid-http-request;timeout client #
w dfl:option httplog;option httplog clf;option tcplog
x1. bd:default-server +error-limit #;default-server +on-error mark-down;option http-pretend-keepalive
x2. bdf:no option http-no-delay;option forwardfor +if-none;option http-no-delay
x2. g:log-send-hostname;log-send-hostname *;log-tag *
x3. bdf:no log;option http-keep-alive;option independent-streams
x4. s:section mailers;section namespace_list;section resolvers
x10w b:http-check send;http-check send +meth *;http-check send +uri *
x bdf:no option forwardfor;no option httplog;option allredisp
. gu:group *;user *
.21w bd:option transparent;transparent
.10w f:option smtpchk;option smtpchk * *
.8w5x bdf:no option forceclose;option forceclose
.4x18. f:default option contstats;default option dontlognull
.3w6x df:clitimeout #;timeout clitimeout #
.3w1x bf:reqisetbe * *;reqsetbe * *
.2w f:option mysql-check;option mysql-check user *
w3. b:tcp-request content reject if;tcp-request inspect-delay #
w10. bd:http-check disable-on-404;http-check send-state
w20x1. f:no option abortonclose;option abortonclose
w9x bd:redisp;redispatch
x1. f:acl -f;fetch srv_is_up
x2.1w f:fetch be_id;fetch srv_id
x3. g:tune.http.maxhdr #;unix-bind mode #
x4. b:http-reuse safe;server +tcp-ut #
x4. df:log-tag *;option http-ignore-probes
x4. f:declare capture request len #;http-request deny deny_status #
x6. g:hard-stop-after #;nbthread #
x7. b:server +no-check;server +pool-max-conn #
x8. b:retry-on all-retryable-errors;server +proto *
x9. g:no strict-limits;strict-limits
x10. s:section http-errors;section ring
x13. f:bind +thread #;error-log-format *
x19. s:section log-profile;section traces
x f:default option forwardfor;default option httplog
. bfg:description ...
. dfg:maxconn #
.21w b:dispatch *
.20w d:option accept-invalid-http-response
.20w df:option accept-invalid-http-request
.19w b:option accept-invalid-http-response
.13w2x bdf:bind-process all
.13x bdf:option http_proxy
.13x g:nbproc 1
.11w2x bdf:grace #
.11w2x g:nbproc #
.11x bdf:mode health
.11x df:monitor-net *
.10w5x bd:smuggled header
.10w1x g:debug
.9x bdf:option independant-streams
.8w1x b:rspdel * if
.7w f:force-persist if
.4w3. g:stats maxconn #
.4x b:appsession * len # timeout #
.3w l:default_backend *
.3w6x bf:block if
.3x df:disabled
.3x g:nosepoll
.1w1. u:user +password *
w3.10w2x f:bind-process #
w19.1w f:option accept-invalid-http-response
w15x f:smuggled header
w4x18. f:default option abortonclose
w3x bdf:option keepalive
x1.6w f:ignore-persist if
x1.6w13x f:option http-pretend-keepalive
x2.10w1x g:tune.chksize #
x2.8w f:option ldap-check
x2.2w3. g:stats timeout #
x2.2x18. f:default option http-no-delay
x3. bf:http-request set-header * *
x3. df:timeout client-fin #
x3. s:section peers
x3.14w g:cpu-map # #
x3.10w2x f:bind +process #
x3.9w f:fetch rdp_cookie_cnt
x3.5w5x df:option http-tunnel
x3.4w6x b:option http-tunnel
x3.1w3.8x g:stats bind-process #
x3w b:timeout client-fin #
x3w17x f:option prefer-last-server
x4. bdf:option http-buffer-request
x4. g:server-state-base *
x4w b:email-alert from *
x4w bd:load-server-state-from-file global
x4w16x b:option http-ignore-probes
x5. b:server +init-addr *
x5. f:address [
x6. f:http-request tarpit deny_status #
x6. s:section cache
x6.15w g:master-worker
x7. bd:balance random
x7. g:busy-polling
x7.6x dl:option http-use-htx
x8. bd:balance random()
x8.11w2x s:section program
x8.5x bf:option http-use-htx
x9. s:section fcgi-app
x10. f:http-response deny deny_status #
x10. g:zero-warning
x11. s:section log-forward
x12. b:server-state-file-name
x13. b:server +ws *
x13. g:grace #
x14. df:option idle-close-on-response
x14w6x b:option idle-close-on-response
x15. b:server +shard #
x18. f:guid *
x18. s:section crt-store
x19. b:server +init-state *
x20. s:section acme
x22. s:section healthcheck
"""
