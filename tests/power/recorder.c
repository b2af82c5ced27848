/* Record what a program does to the files below a folder, in the order in which it does it.
 *
 * Preloaded (ld.so(8), LD_PRELOAD) with POWER_FOLDER and POWER_RECORD set. Every call goes on to
 * the C library as it is; what succeeded is appended to the record: a header (five integers of
 * eight bytes: kind, process, descriptor, place, length) and so many bytes. tests/power/disk.py
 * reads it. What is written through memory maps is not seen: SQLite maps its -shm file only, which
 * it makes anew after a crash (https://www.sqlite.org/walformat.html, section 2).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, WRITTEN, CUT_TO, SYNCED, REMOVED, RENAMED, LINKED };
enum { IS_NEW = 1, IS_EMPTIED = 2 };
enum { DESCRIPTORS = 4096 };

static char folder[PATH_MAX];
static int record = -1;
static char is_watched[DESCRIPTORS];

__attribute__((constructor)) static void begin(void)
{
    const char *where = getenv("POWER_FOLDER"), *to = getenv("POWER_RECORD");
    if (!where || !to || !realpath(where, folder))
        return;
    record = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* One call each, so that records of threads and processes do not mix. */
static void note(int64_t kind, int64_t descriptor, int64_t place, const void *bytes, int64_t length)
{
    int64_t header[] = {kind, getpid(), descriptor, place, length};
    struct iovec parts[] = {{header, sizeof header}, {(void *)bytes, (size_t)length}};
    int before = errno;
    if (writev(record, parts, 2) != (ssize_t)(sizeof header + (size_t)length))
        abort(); /* half a record would be taken for a power cut */
    errno = before;
}

static int watches(int descriptor)
{
    return record >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS && is_watched[descriptor];
}

/* The whole path of what lies in an open folder, or 0 when it is not below the one that is watched. */
static int path_at(int at, const char *path, char *found)
{
    char own[64], above[PATH_MAX];
    ssize_t length = 0;
    if (record < 0)
        return 0;
    if (path[0] == '/') {
        snprintf(found, PATH_MAX, "%s", path);
    } else {
        snprintf(own, sizeof own, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        length = readlink(own, above, sizeof above - 1);
        if (length < 0)
            return 0;
        above[length] = 0;
        if ((size_t)snprintf(found, PATH_MAX, "%s/%s", above, path) >= PATH_MAX)
            return 0;
    }
    return !strncmp(found, folder, strlen(folder));
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    static int (*real)(int, const char *, int, ...);
    char found[PATH_MAX];
    int is_ours = path_at(at, path, found), is_new = 0, descriptor;
    if (!real)
        real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    if (is_ours && flags & O_CREAT)
        is_new = faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    descriptor = real(at, path, flags, mode);
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        is_watched[descriptor] = (char)is_ours;
    if (descriptor >= 0 && is_ours)
        note(OPENED, descriptor, (is_new ? IS_NEW : 0) | (flags & O_TRUNC ? IS_EMPTIED : 0), found,
             (int64_t)strlen(found));
    return descriptor;
}

#define MODE                                                                                       \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                         \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }

#define NEXT(type, name, ...)                                                                      \
    static type (*next)(__VA_ARGS__);                                                              \
    if (!next)                                                                                     \
        next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t place)
{
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t)
    ssize_t done = next(descriptor, bytes, count, place);
    if (done > 0 && watches(descriptor))
        note(WRITTEN, descriptor, place, bytes, done);
    return done;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t place)
{
    return pwrite64(descriptor, bytes, count, place);
}

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    NEXT(ssize_t, "write", int, const void *, size_t)
    ssize_t done = next(descriptor, bytes, count);
    if (done > 0 && watches(descriptor))
        note(WRITTEN, descriptor, lseek(descriptor, 0, SEEK_CUR) - done, bytes, done);
    return done;
}

/* What copies within the kernel is refused, so that programs fall back on what is recorded. */
static ssize_t refuse(int because)
{
    errno = because;
    return -1;
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *place, size_t count, unsigned flags)
{
    NEXT(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned)
    return watches(to) ? refuse(ENOSYS) : next(from, at, to, place, count, flags);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t count)
{
    NEXT(ssize_t, "sendfile64", int, int, off64_t *, size_t)
    return watches(to) ? refuse(EINVAL) : next(to, from, at, count);
}

ssize_t sendfile(int to, int from, off_t *at, size_t count) { return sendfile64(to, from, at, count); }

int ioctl(int descriptor, unsigned long request, ...)
{
    NEXT(int, "ioctl", int, unsigned long, void *)
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (request == FICLONE && watches(descriptor))
        return (int)refuse(EOPNOTSUPP);
    return next(descriptor, request, argument);
}

int ftruncate64(int descriptor, off64_t length)
{
    NEXT(int, "ftruncate64", int, off64_t)
    int failed = next(descriptor, length);
    if (!failed && watches(descriptor))
        note(CUT_TO, descriptor, length, "", 0);
    return failed;
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int fsync(int descriptor)
{
    NEXT(int, "fsync", int)
    int failed = next(descriptor);
    if (!failed && watches(descriptor))
        note(SYNCED, descriptor, 0, "", 0);
    return failed;
}

int fdatasync(int descriptor)
{
    NEXT(int, "fdatasync", int)
    int failed = next(descriptor);
    if (!failed && watches(descriptor))
        note(SYNCED, descriptor, 0, "", 0);
    return failed;
}

static void note_name(int64_t kind, int at, const char *path)
{
    char found[PATH_MAX];
    if (path_at(at, path, found))
        note(kind, -1, 0, found, (int64_t)strlen(found));
}

int unlink(const char *path)
{
    NEXT(int, "unlink", const char *)
    int failed = next(path);
    if (!failed)
        note_name(REMOVED, AT_FDCWD, path);
    return failed;
}

int unlinkat(int at, const char *path, int flags)
{
    NEXT(int, "unlinkat", int, const char *, int)
    int failed = next(at, path, flags);
    if (!failed && !(flags & AT_REMOVEDIR))
        note_name(REMOVED, at, path);
    return failed;
}

/* Two names with a NUL between them. */
static void note_names(int64_t kind, int from_at, const char *from, int to_at, const char *to)
{
    char both[2 * PATH_MAX], second[PATH_MAX];
    if (!path_at(from_at, from, both) || !path_at(to_at, to, second))
        return;
    size_t length = strlen(both);
    memcpy(both + length + 1, second, strlen(second) + 1);
    note(kind, -1, 0, both, (int64_t)(length + 1 + strlen(second)));
}

int rename(const char *from, const char *to)
{
    NEXT(int, "rename", const char *, const char *)
    int failed = next(from, to);
    if (!failed)
        note_names(RENAMED, AT_FDCWD, from, AT_FDCWD, to);
    return failed;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    NEXT(int, "renameat", int, const char *, int, const char *)
    int failed = next(from_at, from, to_at, to);
    if (!failed)
        note_names(RENAMED, from_at, from, to_at, to);
    return failed;
}

int link(const char *from, const char *to)
{
    NEXT(int, "link", const char *, const char *)
    int failed = next(from, to);
    if (!failed)
        note_names(LINKED, AT_FDCWD, from, AT_FDCWD, to);
    return failed;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    NEXT(int, "linkat", int, const char *, int, const char *, int)
    int failed = next(from_at, from, to_at, to, flags);
    if (!failed)
        note_names(LINKED, from_at, from, to_at, to);
    return failed;
}
