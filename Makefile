# berth: make            builds build/berthd and build/berth
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
DIRS := src/manage src/neighbor src/path src/peer src/table src/config src/base tun crypto
PKGS := libsodium libuv libmnl inih liburcu-qsbr liburcu-cds jansson

CPPFLAGS += -D_GNU_SOURCE -DURCU_INLINE_SMALL_FUNCTIONS
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -pthread -fPIE
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack
ifdef SANITIZE
CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZE)
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
TOOLS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/berth/*.c))

all: $(BUILD)/berthd $(BUILD)/berth

$(BUILD)/berthd: $(BUILD)/src/main.o $(foreach d,$(DIRS),$(call arch-of,$(d)))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/berth: $(TOOLS) $(call archs-from,src/config)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

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

# A test links what it names itself (fakes first), then its module's level and below.
.SECONDEXPANSION:
$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $$(patsubst %.c,$(BUILD)/%.o,$$(FAKES_$$*)) \
		$$(call archs-from,$$(or $$(call dir-of,$$*),src/manage))
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check) -ljansson

ifeq ($(BUILD),build)
build/asan/%: FORCE
	$(Q)$(MAKE) BUILD=build/asan SANITIZE=address,undefined $@
build/tsan/%: FORCE
	$(Q)$(MAKE) BUILD=build/tsan SANITIZE=thread $@
endif
FORCE:

clean:
	rm -rf build

.PHONY: all clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
