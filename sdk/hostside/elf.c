/* SPDX-License-Identifier: MIT */
#include "hostside/elf.h"

#include "base/buf.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#define OWN_MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#define OWN_MACHINE_NAME "aarch64"
#else
#error "this machine's ELF number is not known here"
#endif

#define SECTIONS_MAX 4096u
#define NAMED_MAX 4u

struct file {
	const unsigned char *data;
	size_t len;
};

/* Copies `size` bytes at `at`; false when they are not in the file. */
static bool get(const struct file *file, uint64_t at, void *ret, size_t size)
{
	if (at > file->len || size > file->len - at)
		return false;
	memcpy(ret, file->data + at, size);
	return true;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "aarch64";
	case EM_386:
		return "i386";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	default:
		return "another machine";
	}
}

static int check_head(const struct file *file, Elf64_Ehdr *ret, struct hydro_error *err)
{
	unsigned char ident[EI_NIDENT];
	if (!get(file, 0, ident, sizeof ident) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return hd_error_set(err, HYDRO_E_ABI, "is not an ELF file, this host loads ELF shared objects for %s", OWN_MACHINE_NAME);
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return hd_error_set(err, HYDRO_E_ABI, "is an ELF file of class %u and byte order %u, this host loads 64-bit little-endian ones for %s",
				    ident[EI_CLASS], ident[EI_DATA], OWN_MACHINE_NAME);
	if (!get(file, 0, ret, sizeof *ret))
		return hd_error_set(err, HYDRO_E_ABI, "is cut: it has %zu bytes, the head of an ELF file takes %zu", file->len, sizeof *ret);
	if (ret->e_machine != OWN_MACHINE)
		return hd_error_set(err, HYDRO_E_ABI, "is for %s (ELF machine %u), this host is %s (%u)", machine_name(ret->e_machine), ret->e_machine,
				    OWN_MACHINE_NAME, OWN_MACHINE);
	if (ret->e_type != ET_DYN)
		return hd_error_set(err, HYDRO_E_ABI, "is an ELF file of type %u, this host loads shared objects (3)", ret->e_type);
	return HYDRO_OK;
}

static int cut(const struct file *file, const char *what, struct hydro_error *err)
{
	return hd_error_set(err, HYDRO_E_ABI, "is cut or damaged: %s lies outside its %zu bytes", what, file->len);
}

/* The loader maps these without asking whether they are there; touching what is not is SIGBUS. */
static int check_segments(const struct file *file, const Elf64_Ehdr *head, struct hydro_error *err)
{
	for (unsigned i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr segment;
		if (head->e_phentsize != sizeof segment || !get(file, head->e_phoff + (uint64_t)i * sizeof segment, &segment, sizeof segment))
			return cut(file, "the table of segments", err);
		if (segment.p_type == PT_LOAD && (segment.p_offset > file->len || segment.p_filesz > file->len - segment.p_offset))
			return cut(file, "a segment", err);
	}
	return HYDRO_OK;
}

static bool is_counted(const Elf64_Sym *symbol, const char *name)
{
	static const char *const ignored[] = {"__odr_asan", "__asan_", "__tsan_", "__ubsan_", "__sanitizer_", "__gcov", "_end", "_edata", "__bss_start", "_init", "_fini"};
	if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol->st_info) != STB_GLOBAL)
		return false;
	unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
	if (visibility == STV_HIDDEN || visibility == STV_INTERNAL)
		return false;
	for (size_t i = 0; i < HD_ARRAY_LEN(ignored); i++)
		if (strncmp(name, ignored[i], strlen(ignored[i])) == 0)
			return false;
	return true;
}

/* Exported names other than the entry's, at most NAMED_MAX of them, into `others`. */
static int read_symbols(const struct file *file, const Elf64_Shdr *symbols, const Elf64_Shdr *strings, bool *ret_entry, unsigned *ret_others,
			struct hd_buf *others, struct hydro_error *err)
{
	if (symbols->sh_entsize != sizeof(Elf64_Sym) || symbols->sh_offset > file->len || symbols->sh_size > file->len - symbols->sh_offset)
		return cut(file, "the table of symbols", err);
	if (strings->sh_offset > file->len || strings->sh_size > file->len - strings->sh_offset || strings->sh_size == 0)
		return cut(file, "the table of names", err);
	const char *names = (const char *)file->data + strings->sh_offset;
	if (names[strings->sh_size - 1] != '\0')
		return cut(file, "a name", err);
	for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols->sh_size; at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;
		memcpy(&symbol, file->data + symbols->sh_offset + at, sizeof symbol);
		if (symbol.st_name >= strings->sh_size)
			return cut(file, "a symbol's name", err);
		const char *name = names + symbol.st_name;
		if (!is_counted(&symbol, name))
			continue;
		if (strcmp(name, "hydro_plugin_entry") == 0) {
			*ret_entry = true;
			continue;
		}
		if ((*ret_others)++ < NAMED_MAX)
			(void)hd_buf_printf(others, "%s%.60s", others->len ? ", " : "", name);
	}
	return HYDRO_OK;
}

static int check_exports(const struct file *file, const Elf64_Ehdr *head, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf others = {0};
	bool entry = false;
	unsigned other_count = 0;
	if (head->e_shnum == 0)
		return HYDRO_OK;
	if (head->e_shnum > SECTIONS_MAX || head->e_shentsize != sizeof(Elf64_Shdr))
		return cut(file, "the table of sections", err);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		Elf64_Shdr section, strings;
		if (!get(file, head->e_shoff + (uint64_t)i * sizeof section, &section, sizeof section))
			return cut(file, "the table of sections", err);
		if (section.sh_type != SHT_DYNSYM)
			continue;
		if (section.sh_link >= head->e_shnum || !get(file, head->e_shoff + (uint64_t)section.sh_link * sizeof strings, &strings, sizeof strings))
			return cut(file, "the table of names", err);
		int rc = read_symbols(file, &section, &strings, &entry, &other_count, &others, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	if (!entry)
		return hd_error_set(err, HYDRO_E_ABI, "exports no hydro_plugin_entry, which is what this host calls");
	if (other_count)
		return hd_error_set(err, HYDRO_E_ABI, "exports %u symbols besides hydro_plugin_entry (%s), this host takes plugins that export it alone", other_count,
				    hd_buf_text(&others));
	return HYDRO_OK;
}

int hd_elf_check(const void *data, size_t len, struct hydro_error *err)
{
	struct file file = {.data = data, .len = len};
	Elf64_Ehdr head;
	int rc = check_head(&file, &head, err);
	if (rc == HYDRO_OK)
		rc = check_segments(&file, &head, err);
	return rc == HYDRO_OK ? check_exports(&file, &head, err) : rc;
}
