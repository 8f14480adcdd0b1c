/*
 * LD_PRELOAD: while the working directory holds a file "eio", the next write or sync of a file whose path contains what stands in it fails
 * with EIO, once; of a write the first half is carried out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int fd) {
  if (access("eio", F_OK) != 0) return 0;
  char wanted[256], link[64], path[4096];
  int file = open("eio", O_RDONLY);
  if (file < 0) return 0;
  ssize_t length = read(file, wanted, sizeof wanted - 1);
  close(file);
  if (length <= 0) return 0;
  wanted[length] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  if (strstr(path, wanted) == NULL) return 0;
  return unlink("eio") == 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL do { errno = EIO; return -1; } while (0)

ssize_t write(int fd, const void *bytes, size_t n) {
  if (fails(fd)) { NEXT(write)(fd, bytes, n / 2); FAIL; }
  return NEXT(write)(fd, bytes, n);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
  if (fails(fd)) { NEXT(pwrite)(fd, bytes, n / 2, at); FAIL; }
  return NEXT(pwrite)(fd, bytes, n, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
  if (fails(fd)) { NEXT(pwrite64)(fd, bytes, n / 2, at); FAIL; }
  return NEXT(pwrite64)(fd, bytes, n, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at) {
  if (fails(fd)) { NEXT(pwritev)(fd, parts, n / 2, at); FAIL; }
  return NEXT(pwritev)(fd, parts, n, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at) {
  if (fails(fd)) { NEXT(pwritev64)(fd, parts, n / 2, at); FAIL; }
  return NEXT(pwritev64)(fd, parts, n, at);
}
int fsync(int fd) {
  if (fails(fd)) FAIL;
  return NEXT(fsync)(fd);
}
int fdatasync(int fd) {
  if (fails(fd)) FAIL;
  return NEXT(fdatasync)(fd);
}
