import Glibc
import Synchronization

/// Writes files so that a reader, or a crash, sees either the old contents or all of the new, never a part.
///
/// The bytes go to a temporary name in the same folder, are flushed to the disk (`fsync`), and the file is then renamed
/// over its destination. Whatever goes wrong on the way, the temporary file is removed and the destination is as it was.
public enum AtomicFile {
    /// The open temporary file, as the body of `write(to:_:)` sees it. Not to be kept beyond that body.
    public struct Writer {
        let descriptor: Int32
        let path: String

        /// Appends all of `bytes`.
        /// - Throws: `Failure.inputOutput`, for example when the disk is full.
        public func write(_ bytes: UnsafeRawBufferPointer) throws {
            var rest = bytes[...]
            while !rest.isEmpty {
                // Linux moves at most 2 GiB less a page in one call; a piece of 1 GiB stays below on every system.
                let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
                let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if count == 0 {
                    throw Failure.inputOutput("cannot write \(path): the system takes no more bytes")
                } else if errno != EINTR {
                    throw writingFailed(path, errno)
                }
            }
        }

        /// Appends the elements' bytes in memory order: `[UInt8]`, or `[Float]` and the like on this machine's order.
        public func write<Element: BitwiseCopyable>(_ elements: [Element]) throws {
            try elements.withUnsafeBytes { try write($0) }
        }

        /// Appends the text in UTF-8.
        public func write(_ text: String) throws {
            try write(Array(text.utf8))
        }
    }

    /// Writes a file in one step: `body` appends the contents, then they take the place of whatever `path` was.
    ///
    /// A symbolic link is followed and an existing file's permissions are kept. A device that takes characters, such as
    /// `/dev/null`, is written to directly; a pipe, which might never be read, is refused, as folders and disks are.
    /// - Throws: `Failure.inputOutput` if the folder is missing or not writable or the disk is full, or what `body`
    ///   throws; in both cases no temporary file is left.
    public static func write<Result>(
        to path: String, _ body: (Writer) throws -> Result
    ) throws -> Result {
        let destination = try Destination(path)
        guard destination.isReplaceable else { return try writeDirectly(to: path, body) }

        let (descriptor, temporary) = try openTemporary(for: destination)
        var isOpen = true
        do {
            if let mode = destination.mode, fchmod(descriptor, mode) != 0 { throw writingFailed(path, errno) }
            let result = try body(Writer(descriptor: descriptor, path: path))
            if fsync(descriptor) != 0 { throw writingFailed(path, errno) }
            isOpen = false
            // A network file system may report a full disk only now.
            if close(descriptor) != 0 { throw writingFailed(path, errno) }
            if rename(temporary, destination.path) != 0 { throw writingFailed(path, errno) }
            unfinished.withLock { _ = $0.remove(temporary) }
            flush(folder: destination.folder)
            return result
        } catch {
            if isOpen { close(descriptor) }
            remove(temporary)
            throw error
        }
    }

    /// Finds out, before hours of work, whether `write(to:_:)` can succeed, by writing a block to a temporary file, which
    /// is removed again.
    /// - Throws: `Failure.inputOutput` if not.
    public static func checkWritable(_ path: String) throws {
        let destination = try Destination(path)
        guard destination.isReplaceable else {
            let descriptor = try openDevice(path)
            defer { close(descriptor) }
            // Nothing is written, but a device that takes nothing, such as /dev/full, says so.
            var byte: UInt8 = 0
            if Glibc.write(descriptor, &byte, 0) < 0 { throw writingFailed(path, errno) }
            return
        }
        let (descriptor, temporary) = try openTemporary(for: destination)
        defer {
            close(descriptor)
            remove(temporary)
        }
        // A full disk has room for an empty file.
        try Writer(descriptor: descriptor, path: path).write([UInt8](repeating: 0, count: 4096))
    }

    /// Removes the temporary files and folders of writes that are under way, for a process that is about to be ended by a signal.
    ///
    /// It takes a lock and allocates: call it from a thread that waits for the signal (`sigwait`, a dispatch source), not
    /// from an asynchronous signal handler. A write that goes on after this fails, and leaves its destination as it was.
    public static func removeUnfinished() {
        unfinished.withLock { paths in
            for path in paths { unlink(path) }
            paths.removeAll()
        }
        AtomicFolder.removeUnfinished()
    }

    // The temporary files that exist now. A signal concerns the whole process, so what it must clean up is the process's.
    private static let unfinished = Mutex<Set<String>>([])

    private static func openTemporary(for destination: Destination) throws -> (descriptor: Int32, path: String) {
        while true {
            let unique = String(UInt64.random(in: .min ... .max), radix: 36)
            let temporary = "\(destination.folder)/.pilot-\(getpid())-\(unique).partial"
            // Known before it exists: a signal between the two finds nothing to remove, rather than something unknown.
            unfinished.withLock { _ = $0.insert(temporary) }
            let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            if descriptor >= 0 { return (descriptor, temporary) }
            let code = errno
            unfinished.withLock { _ = $0.remove(temporary) }
            if code != EEXIST && code != EINTR { throw writingFailed(destination.path, code) }
        }
    }

    private static func writeDirectly<Result>(
        to path: String, _ body: (Writer) throws -> Result
    ) throws -> Result {
        let descriptor = try openDevice(path)
        defer { close(descriptor) }
        return try body(Writer(descriptor: descriptor, path: path))
    }

    /// Opens a device without waiting for whoever is at its other end; writing waits.
    private static func openDevice(_ path: String) throws -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        if descriptor < 0 { throw writingFailed(path, errno) }
        _ = fcntl(descriptor, F_SETFL, O_WRONLY)
        return descriptor
    }

    private static func remove(_ temporary: String) {
        unlink(temporary)
        unfinished.withLock { _ = $0.remove(temporary) }
    }

    // Makes the rename itself durable. Some file systems refuse to flush a folder; the file is complete either way.
    private static func flush(folder: String) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}

/// Where a file is to go: links resolved, the folder known to be there.
private struct Destination {
    let path: String
    let folder: String
    /// The permissions of the file that will be replaced, if there is one.
    let mode: mode_t?
    /// False for a device: a rename would put a regular file in its place.
    let isReplaceable: Bool

    init(_ named: String) throws {
        if named.isEmpty || named.utf8.contains(0) {
            throw Failure.inputOutput("cannot write '\(named)': not a file name")
        }
        let resolved = Self.resolvingLinks(named)
        var status = stat()
        if stat(resolved, &status) == 0 {
            switch FileKind(status) {
            case .regular: isReplaceable = true
            case .characterDevice: isReplaceable = false
            case .folder: throw Failure.inputOutput("cannot write \(named): it is a folder; name a file in it")
            case let other: throw Failure.inputOutput("cannot write \(named): it is \(other.name); name a file")
            }
            mode = status.st_mode & 0o777
        } else {
            if errno != ENOENT { throw writingFailed(named, errno) }
            if resolved.hasSuffix("/") { throw Failure.inputOutput("cannot write \(named): a folder, not a file name") }
            if lstat(resolved, &status) == 0 {
                throw Failure.inputOutput("cannot write \(named): it is a link to what is not there; remove the link")
            }
            isReplaceable = true
            mode = nil
        }
        path = resolved
        folder = Self.folder(of: resolved)
        if stat(folder, &status) != 0 {
            if errno != ENOENT { throw writingFailed(named, errno) }
            throw Failure.inputOutput("cannot write \(named): the folder \(folder) is not there; create it first")
        }
    }

    private static func resolvingLinks(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

private func writingFailed(_ path: String, _ code: Int32) -> Failure {
    let advice =
        switch code {
        case ENOSPC, EDQUOT: "; make room or write elsewhere"
        case EACCES, EPERM, EROFS: "; choose a folder you may write to"
        default: ""
        }
    return .inputOutput("cannot write \(path): \(String(cString: strerror(code)))\(advice)")
}
