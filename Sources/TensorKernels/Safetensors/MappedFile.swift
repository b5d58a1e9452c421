import Failures
import Glibc

/// A file's bytes, mapped into memory for reading; unmapped when the last reference goes.
///
/// Pages come from the disk when they are touched and belong to the system's cache, so ranks on one machine that map
/// the same checkpoint share them. Should the file be cut short by another program, the job ends and names it.
public final class MappedFile: Sendable {
    public let path: String
    /// The file's length in bytes; at least 1.
    public let count: Int
    // Written once, in `init`, and read-only memory from then on.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    /// What the watch calls the file.
    private let number: Int32

    /// - Throws: `Failure.missingInput` if `path` is not there, can't be read or is not a regular file;
    ///   `Failure.badData` if it is empty; an internal fault where a limit leaves no room for it.
    public init(path: String) throws {
        // Without O_NONBLOCK, opening a named pipe would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.unreadable(path, errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw Failure.missingInput("\(path): is a folder; a file was expected")
        default: throw Failure.missingInput("\(path): is not a regular file")
        }
        guard status.st_size > 0 else { throw Failure.badData("\(path): is empty") }
        guard
            let address = mmap(nil, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED
        else {
            guard errno == ENOMEM else { throw Self.unreadable(path, errno) }
            throw Failure.internalFault(
                "out of memory: the system refused to map the \(status.st_size) bytes of \(path); raise the limit on "
                    + "address space (ulimit -v)")
        }
        self.path = path
        self.count = status.st_size
        self.base = address
        number = MappedFileWatch.shared?.add(address, count: status.st_size, path: path) ?? -1
    }

    deinit {
        MappedFileWatch.shared?.remove(number)
        munmap(base, count)
    }

    /// Calls `body` with the whole file's bytes, which are valid for the time of the call.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Tells the system that the bytes of `range` are not needed for now, so that they stop counting as this
    /// process's memory. Reading them again is allowed, and brings them back.
    /// - Precondition: `range` lies in `0 ..< count`.
    public func adviseUnneeded(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "a range beyond the mapped file")
        guard !range.isEmpty else { return }
        let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = range.lowerBound / pageSize * pageSize
        // Advice, not a demand: where it can't be followed nothing is lost but memory.
        _ = madvise(base + start, range.upperBound - start, MADV_DONTNEED)
    }

    private static func unreadable(_ path: String, _ code: Int32) -> Failure {
        .missingInput("\(path): cannot be read: \(String(cString: strerror(code)))")
    }
}
