import Failures
import Glibc

/// A whole file, read into memory at once.
///
/// Not memory-mapped: a mapped file that another process shortens while it is decoded ends this one with SIGBUS.
enum InputFile {
    /// - Throws: `Failure.missingInput` if the file is not there, is no regular file or can't be read; `badData` if it is
    ///   larger than `limit` bytes.
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        var status = stat()
        if path.utf8.contains(0) { throw Failure.missingInput("cannot read '\(path)': not a file name") }
        if stat(path, &status) != 0 { throw readingFailed(path, errno) }
        if status.st_mode & S_IFMT == S_IFDIR {
            throw Failure.missingInput("cannot read \(path): it is a folder; a PNG or JPEG file is expected")
        }
        if status.st_mode & S_IFMT != S_IFREG {
            throw Failure.missingInput("cannot read \(path): it is a device or a pipe; a PNG or JPEG file is expected")
        }
        if status.st_size > limit {
            throw Failure.badData("\(path): \(status.st_size) bytes, and a picture may have \(limit) at most")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw readingFailed(path, errno) }
        defer { close(descriptor) }
        return try [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let received = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
                if received > 0 {
                    count += received
                } else if received == 0 {
                    break
                } else if errno != EINTR {
                    throw readingFailed(path, errno)
                }
            }
        }
    }

    private static func readingFailed(_ path: String, _ code: Int32) -> Failure {
        .missingInput("cannot read \(path): \(String(cString: strerror(code)))")
    }
}
