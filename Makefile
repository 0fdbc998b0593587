# berth: make deps       installs the Debian packages to build and to test with
#        make            builds build/berthd and build/berth
#        make demo       the main job, shown in a lab of network namespaces
#        make check      unit tests and network tests
#        make help       the rest
#
# BUILD=dir CC=clang WERROR=1 V=1 and SANITIZE=address,undefined are understood.

BUILD ?= build
PREFIX ?= /usr/local
VECTORS ?= ../shared/vectors
export VECTORS
Q := $(if $(V),,@)

# Directories from the top level down: what stands left may use what stands right.
DIRS := src/manage src/neighbor src/path src/peer src/table src/host src/config src/base tun crypto
PKGS := libsodium libuv libmnl libnftnl inih liburcu-qsbr liburcu-cds jansson libmicrohttpd \
	libcap-ng libseccomp

CPPFLAGS += -D_GNU_SOURCE -DURCU_INLINE_SMALL_FUNCTIONS
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -pthread -fPIE
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifdef SANITIZE
CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZE)
else ifdef COVERAGE
CFLAGS += -Og --coverage -fprofile-update=atomic
LDFLAGS += --coverage
else
CFLAGS += -fstack-protector-strong -fstack-clash-protection
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
ifneq ($(WERROR)$(CI),)
CFLAGS += -Werror
endif

# Debian ships libipsec-mb without a pkg-config file; only x86-64 has it.
ifneq ($(wildcard /usr/include/intel-ipsec-mb.h),)
CPPFLAGS += -DHAVE_IPSEC_MB
IPSEC_MB := -lIPSec_MB
endif
LDLIBS = $(shell pkg-config --libs $(PKGS)) $(IPSEC_MB)
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)

arch-of = $(BUILD)/$(subst /,-,$(1)).a
# The archives of directory $(1) and of everything below it, in link order.
archs-from = $(call archs-from_,$(1),$(DIRS))
archs-from_ = $(if $(2),$(if $(filter $(1),$(firstword $(2))),$(foreach d,$(2),$(call arch-of,$(d))),$(call archs-from_,$(1),$(wordlist 2,99,$(2)))))
dir-of = $(patsubst %/,%,$(dir $(firstword $(foreach d,$(DIRS),$(wildcard $(d)/$(1).c)))))

TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
# An allocator of the test's own shows the sanitizer what liburcu's threads do with memory, and
# not the locks under which they do it.
ifeq ($(SANITIZE),thread)
TESTS := $(filter-out $(BUILD)/tests/test_nomem_%,$(TESTS))
endif
TOOLS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/berth/*.c))

all: $(BUILD)/berthd $(BUILD)/berth

$(BUILD)/berthd: $(BUILD)/src/main.o $(foreach d,$(DIRS),$(call arch-of,$(d)))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/berth: $(TOOLS) $(call archs-from,src/host)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs libqrencode)

# ---- benchmarks: programs that stay in the build folder (tools/bench) ----

BENCH := $(addprefix $(BUILD)/bench/,berthd-libsodium berthd-null berthd-police delay slower udpblast pinger \
	tenants tenants-null micro revoke churn scale asker malice flood soak)
bench-obj = $(patsubst %,$(BUILD)/tools/bench/%.o,$(1))

# What stands in front of the archives takes the place of their part of the same name.
$(BUILD)/bench/berthd-libsodium: $(BUILD)/src/main.o $(call bench-obj,aead_no_ipsecmb)
$(BUILD)/bench/berthd-null: $(BUILD)/src/main.o $(call bench-obj,aead_null)
$(BUILD)/bench/berthd-police: $(BUILD)/src/main.o $(call bench-obj,limit_police)
$(BUILD)/bench/delay: $(call bench-obj,delay)
$(BUILD)/bench/slower: $(call bench-obj,slower)
$(BUILD)/bench/udpblast: $(call bench-obj,udpblast load)
$(BUILD)/bench/pinger: $(call bench-obj,pinger load)
$(BUILD)/bench/tenants: $(call bench-obj,tenants load)
$(BUILD)/bench/tenants-null: $(call bench-obj,tenants load aead_null)
$(BUILD)/bench/asker: $(call bench-obj,asker load)
$(BUILD)/bench/scale: $(call bench-obj,scale crowd load)
$(BUILD)/bench/malice: $(call bench-obj,malice crowd load)
$(BUILD)/bench/flood: $(call bench-obj,flood flood_kinds crowd load)
$(BUILD)/bench/micro: $(call bench-obj,micro micro_ops)
$(BUILD)/bench/revoke: $(call bench-obj,revoke revoke_traffic crowd memory solicit load)
$(BUILD)/bench/churn: $(call bench-obj,churn crowd memory load)
$(BUILD)/bench/soak: $(call bench-obj,soak soak_plan soak_files soak_wire soak_packet soak_traffic \
	soak_hostile soak_account soak_watch crowd memory solicit load)
$(BENCH): $(foreach d,$(DIRS),$(call arch-of,$(d)))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

define archive
$(call arch-of,$(1)): $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Two routers on fake wires and a fake clock.
LAB := $(addprefix tests/,path_lab.c fake_wire.c fake_udp.c fake_tun.c fake_clock.c)
FAKES_receive := $(LAB)
FAKES_send := $(LAB)
FAKES_cut := $(LAB)
FAKES_handshake := $(LAB)
FAKES_handshake_clock := $(LAB)
FAKES_flood := $(LAB)
FAKES_isolate := $(LAB)
FAKES_worker := $(LAB)
FAKES_device_memory := $(LAB)
FAKES_device := $(LAB)
FAKES_roaming := $(LAB)
FAKES_quota_path := $(LAB)
FAKES_peer := tests/fake_clock.c
FAKES_events := tests/fake_clock.c
FAKES_reload := tests/fake_device.c
FAKES_reload_said := tests/fake_device.c
FAKES_reload_scan := tests/fake_device.c
FAKES_enforce := tests/fake_device.c
FAKES_expiry := $(addprefix tests/,fake_device.c fake_clock.c fake_alarm.c)
# Parts of the operator's command.
FAKES_berth_freeaddress := tools/berth/freeaddress.c
FAKES_berth_decide := $(addprefix tools/berth/,decide.c machine.c freeaddress.c)
FAKES_berth_files := $(addprefix tools/berth/,draft.c homefile.c newfile.c revoked.c)
# Memory that runs out.
FAKES_nomem_config := tests/nomem.c
FAKES_nomem_table := tests/nomem.c
FAKES_nomem_path := tests/nomem.c $(LAB)
FAKES_nomem_reload := $(addprefix tests/,nomem.c fake_device.c)
FAKES_nomem_manage := tests/nomem.c

# A percent sign would be the rule's own, a colon its end: hence a function.
fakes-of = $(addprefix $(BUILD)/,$(FAKES_$(1):.c=.o))

# A test links what it names itself (fakes first), then its module's level and below.
.SECONDEXPANSION:
$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $$(call fakes-of,$$*) \
		$$(call archs-from,$$(or $$(call dir-of,$$*),src/manage))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check) -ljansson

# An allocator that refuses; a sanitizer that is not ready yet calls it, too. And for LD_PRELOAD.
$(BUILD)/tests/nomem.o $(BUILD)/tests/nomem.so: CFLAGS := $(filter-out -fsanitize=%,$(CFLAGS))
$(BUILD)/tests/nomem.so: tests/nomem.c tests/nomem.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -o $@ $<

# ---- fuzzing: libFuzzer harnesses (tests/fuzz), each with all of berth behind it ----

FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FAKES_fuzz_message := $(LAB)
FAKES_fuzz_send := $(LAB)
FAKES_fuzz_answer := $(addprefix tools/berth/,answer.c people.c quota.c release.c status.c tenants.c)

# In a build of its own: what is fuzzed tells the fuzzer where it has been.
IN_FUZZ = $(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang \
	SANITIZE=fuzzer-no-link,address,undefined

fuzzers: $(FUZZERS)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $$(call fakes-of,fuzz_$$*) \
		$(foreach d,$(DIRS),$(call arch-of,$(d)))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

ifeq ($(BUILD),build)
build/asan/%: FORCE
	$(Q)$(MAKE) BUILD=build/asan SANITIZE=address,undefined $@
build/tsan/%: FORCE
	$(Q)$(MAKE) BUILD=build/tsan SANITIZE=thread $@
endif
FORCE:

# ---- what people call: each of them is the first command after cloning ----

# Seen by the scripts.
export BERTHD = $(abspath $(BUILD)/berthd)
export BERTH = $(abspath $(BUILD)/berth)
# The network tests that the sanitizer builds run: no long or heavy ones.
SAN_NET := interop-tenant interop-gateway drop-in drop-in-life uapi wg-quick restart \
	restart-tenants tenants operator ndp icmp errors reorder metrics tunnel-namespace \
	tunnel-follow tunnel-routes routes uplinks differential
SCRIPTS = $(shell grep -rlE '^\#!/bin/(ba)?sh|shellcheck shell=' .ci tests tools)

deps:
	$(Q)tools/deps

tests: $(TESTS)

# What `deps` installs decides what is built (ipsec-mb): hence a second make.
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/demo

check: deps
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)rm -f $(BUILD)/log/*.sum; s=0; for t in levels check-unit check-net check-fuzz; do \
		$(MAKE) --no-print-directory $$t || s=1; done; \
		tests/sum-up $(BUILD)/log unit net fuzz; exit $$s

check-unit: tests all
	$(Q)LOGS=$(BUILD)/log tests/run-unit $(TESTS) tests/test_docs

# Programs that network tests need besides ours.
DIFFERENTIAL := $(BUILD)/tests/differential/differential
PLAYERS := $(addprefix $(BUILD)/bench/,udpblast revoke churn scale malice flood asker soak) $(DIFFERENTIAL) \
	$(BUILD)/tests/nomem.so

$(DIFFERENTIAL): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/differential/*.c)) \
		$(call bench-obj,crowd load) $(foreach d,$(DIRS),$(call arch-of,$(d)))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

check-net: all $(PLAYERS)
	$(Q)LOGS=$(BUILD)/log tests/run-net

check-nomem: all $(PLAYERS)
	$(Q)STARTS=$(or $(STARTS),400) LOGS=$(BUILD)/log ONLY=nomem LAB_SLOW=8 tests/run-net

# Other cases each time, unless told: SEED=n CASES=n.
check-differential: all $(DIFFERENTIAL)
	$(Q)CASES=$(or $(CASES),30000) SEED=$(or $(SEED),$(shell date +%s)) LIMIT=$(or $(LIMIT),1200) \
		bash tests/netns/differential.sh
# A short run of all in `make check`, a long one by itself.
check-fuzz: FUZZ_SECONDS ?= 2
fuzz: FUZZ_SECONDS ?= 1800
check-fuzz fuzz:
	$(Q)tools/deps fuzz
	$(Q)$(IN_FUZZ) fuzzers
	$(Q)$(if $(filter check-fuzz,$@),rm -rf $(BUILD)/corpus)
	$(Q)LOGS=$(BUILD)/$(if $(filter check-fuzz,$@),,fuzz/)log FUZZ_SECONDS=$(FUZZ_SECONDS) \
		JOBS=$(if $(filter check-fuzz,$@),2,1) ONLY='$(if $(filter fuzz,$@),$(ONLY))' \
		tests/run-fuzz $(FUZZERS:$(BUILD)/%=$(BUILD)/fuzz/%)

# After a long run: the corpus in git becomes the smallest that reaches as much.
fuzz-keep:
	$(Q)$(IN_FUZZ) fuzzers
	$(Q)LOGS=$(BUILD)/fuzz/log tests/run-fuzz --keep $(FUZZERS:$(BUILD)/%=$(BUILD)/fuzz/%)

levels:
	$(Q)tools/levels

asan tsan: deps
	$(Q)rm -f build/$@/log/*.sum; s=0; for t in check-unit check-net; do \
		$(MAKE) --no-print-directory BUILD=build/$@ SANITIZE=$(SANITIZE_$@) \
		LAB_SLOW=3 QUICK=1 ONLY="$(or $(ONLY),$(SAN_NET))" $$t || s=1; done; \
		tests/sum-up build/$@/log unit net; exit $$s
SANITIZE_asan := address,undefined
SANITIZE_tsan := thread

# ONLY='ndp uapi': those network tests, too.
coverage:
	$(Q)tools/deps coverage
	$(Q)find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || :
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage COVERAGE=1 check-unit $(if $(ONLY),check-net)
	$(Q)tests/coverage $(BUILD)/coverage

# Twenty times as slow; ONLY='noise peer' picks unit tests. valgrind keeps descriptors for itself,
# which lineserver's test wants to run out of.
NOT_VALGRIND := $(BUILD)/tests/test_lineserver
valgrind: tests
	$(Q)tools/deps lint
	$(Q)LOGS=$(BUILD)/valgrind LIMIT=900 CK_DEFAULT_TIMEOUT=600 CK_TIMEOUT_MULTIPLIER=20 \
		UNDER='valgrind -q --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite --error-exitcode=99 \
		--suppressions=tests/valgrind.supp' tests/run-unit \
		$(or $(ONLY:%=$(BUILD)/tests/test_%),$(filter-out $(NOT_VALGRIND),$(TESTS)))

lint: levels
	$(Q)tools/deps lint
	$(Q)$(MAKE) --no-print-directory BUILD=build/gcc CC=gcc WERROR=1 all tests benches
	$(Q)$(MAKE) --no-print-directory BUILD=build/clang CC=clang WERROR=1 all tests benches
	$(Q)tools/lint "$(CPPFLAGS)"
	$(Q)tools/bench/count build/gcc/bench/micro
	$(Q)shellcheck -x $(SCRIPTS)

bench: deps
	$(Q)tools/deps bench
	$(Q)$(MAKE) --no-print-directory all $(BENCH)
	$(Q)tools/bench/bench
	$(Q)PARTS=cost tools/bench/bench-limits

# MINUTES=30 TENANTS=1000 SEED=n EVENTS=n PACKETS=n (tests/netns/soak.sh)
soak: deps
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/bench/soak
	$(Q)MINUTES=$(or $(MINUTES),30) TENANTS=$(or $(TENANTS),1000) LAB_LOGS=$(BUILD)/log/soak \
		REPORT=$(BUILD)/soak.json tests/netns/soak.sh

bench-tenants: deps
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/bench/scale
	$(Q)tools/bench/bench-tenants

bench-ndp: deps
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/bench/scale $(BUILD)/bench/asker
	$(Q)tools/bench/bench-ndp

bench-floods: deps
	$(Q)$(MAKE) --no-print-directory all $(addprefix $(BUILD)/bench/,flood scale asker)
	$(Q)tools/bench/bench-floods

bench-limits: deps
	$(Q)$(MAKE) --no-print-directory all $(addprefix $(BUILD)/bench/,berthd-police delay)
	$(Q)tools/bench/bench-limits

benches: $(BENCH)

bench-micro: $(BUILD)/bench/micro
	$(Q)$<

bench-count: $(BUILD)/bench/micro
	$(Q)tools/deps bench
	$(Q)tools/bench/count $< $(if $(WRITE),--write)

SHARE = $(DESTDIR)$(PREFIX)/share
UNITDIR = $(PREFIX)/lib/systemd/system
MANUALS = $(wildcard tools/man/*.[1-8])
UNITS := $(wildcard tools/systemd/*.service)

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITDIR)
	install -m 755 $(BUILD)/berthd $(DESTDIR)$(PREFIX)/sbin/berthd
	install -m 755 $(BUILD)/berth $(DESTDIR)$(PREFIX)/bin/berth
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
		$(SHARE)/fish/vendor_completions.d $(SHARE)/berth $(SHARE)/doc/berth
	$(BERTH) completion bash > $(SHARE)/bash-completion/completions/berth
	$(BERTH) completion zsh > $(SHARE)/zsh/site-functions/_berth
	$(BERTH) completion fish > $(SHARE)/fish/vendor_completions.d/berth.fish
	for u in $(notdir $(UNITS)); do sed 's,@SBIN@,$(PREFIX)/sbin,' tools/systemd/$$u \
		> $(DESTDIR)$(UNITDIR)/$$u || exit 1; done
	for m in $(MANUALS); do install -D -m 644 $$m \
		$(SHARE)/man/man$${m##*.}/$${m##*/} || exit 1; done
	install -D -m 644 tools/systemd/berth.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/berth.conf
	install -D -m 644 tools/systemd/berth.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/berth.conf
	[ -e $(DESTDIR)/etc/sysctl.d/60-berth.conf ] || \
		install -D -m 644 tools/systemd/berth.sysctl $(DESTDIR)/etc/sysctl.d/60-berth.conf
	install -m 644 tools/grafana/berth.json $(SHARE)/berth/grafana.json
	install -m 644 README.md SECURITY.md LICENSE $(SHARE)/doc/berth
	install -D -m 644 -t $(SHARE)/doc/berth/examples config.d/*.example
	$(if $(DESTDIR),,$(INSTALLED))

# A user for berthd and his folders; in a package its scripts do it.
define INSTALLED
@if command -v systemd-sysusers >/dev/null; then systemd-sysusers $(PREFIX)/lib/sysusers.d/berth.conf && \
		systemd-tmpfiles --create $(PREFIX)/lib/tmpfiles.d/berth.conf; \
		[ ! -d /run/systemd/system ] || systemctl daemon-reload; \
	else install -d -m 700 /etc/berth /etc/berth/config.d; fi
endef

deb:
	$(Q)tools/deps deb
	$(Q)tools/make-deb $(BUILD)

check-deb: deb
	$(Q)tests/package/check $(BUILD)/deb

clean:
	rm -rf build

help:
	@echo 'make deps         installs the Debian packages to build and to test with (root); demo, check and'
	@echo '                  others do so by themselves'
	@echo 'make              build/berthd and build/berth'
	@echo 'make demo         the main job, shown in a lab of network namespaces (root)'
	@echo 'make check        check-unit, check-net (root), check-fuzz and levels; ONLY=name picks network tests,'
	@echo '                  ONLY=kill KILLS=100 SEED=n kills more often than the ten times of check'
	@echo 'make check-differential  berthd beside wireguard-go in 30,000 cases; CASES=n SEED=n (root)'
	@echo 'make soak         1,000 tenants at random for 30 minutes (root); MINUTES, TENANTS, SEED'
	@echo 'make check-nomem  berthd starts 400 times, each with another allocation failing (root)'
	@echo 'make asan, tsan   unit tests and some network tests, with sanitizers'
	@echo 'make fuzz         the fuzz harnesses, FUZZ_SECONDS=1800 each, ONLY=name; fuzz-keep keeps what they found'
	@echo 'make coverage     lines and branches that the unit tests reach; valgrind runs them under memcheck'
	@echo 'make lint         gcc and clang with -Werror, gcc'"'"'s analyser, cppcheck, clang-tidy, shellcheck'
	@echo 'make bench        what a gateway carries, beside wireguard-go (root); QUICK=1, PEER=program'
	@echo 'make bench-tenants  of 1,000 to 100,000 tenants: start, memory, changes (root)'
	@echo 'make bench-ndp    neighbours answered, beside ndppd and the kernel (root)'
	@echo 'make bench-floods what floods of each kind leave a tenant (root)'
	@echo 'make bench-limits what a limit does to TCP, by a queue and by dropping (root)'
	@echo 'make bench-micro  nanoseconds of the pure parts; bench-count their instructions'
	@echo 'make install      to DESTDIR, under PREFIX=$(PREFIX)'
	@echo 'make deb          the Debian package; check-deb installs, runs and purges it (root)'
	@echo 'make clean        away with build/'
	@echo 'BUILD=dir CC=clang WERROR=1 V=1 SANITIZE=address,undefined are understood.'

.PHONY: FORCE all deps tests demo check check-unit check-net check-differential check-nomem levels asan tsan \
	lint bench benches bench-tenants bench-ndp bench-floods bench-limits bench-micro bench-count \
	install deb check-deb clean help check-fuzz fuzz fuzzers fuzz-keep coverage valgrind soak
.DELETE_ON_ERROR:
.SECONDARY:
# Not those of the sanitizer variants below (the rules above would call make for each), nor
# folders of the package (sysctl.d).
-include $(shell find $(BUILD) \( -path '$(BUILD)/?san' -o -path '$(BUILD)/fuzz' -o -path '$(BUILD)/coverage' -o -path '$(BUILD)/deb' \) -prune -o -name '*.d' -print 2>/dev/null)
