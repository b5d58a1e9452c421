import Glibc

/// One process, so that others of the same machine can tell whether it is still there.
package struct ProcessIdentity: Codable, Equatable, Sendable {
    package let number: Int32
    /// In clock ticks since the machine's start: tells the process from a later one with the same number.
    package let startTime: UInt64
    /// Where the number means this process, and its life can be seen: one run of one kernel, one namespace of
    /// processes, one user.
    package let space: String

    package init(number: Int32, startTime: UInt64, space: String) {
        self.number = number
        self.startTime = startTime
        self.space = space
    }

    /// The calling process; nil when the system does not tell (no `/proc`).
    package static func current() -> ProcessIdentity? {
        guard case .entry(let entry) = ProcessEntry.read(getpid()),
            let boot = try? readAll("/proc/sys/kernel/random/boot_id").get(), let namespace = processNamespace()
        else { return nil }
        let text = String(decoding: boot, as: UTF8.self).trimmingPrefix { $0.isWhitespace }
        return ProcessIdentity(
            number: getpid(), startTime: entry.startTime,
            space: "\(text.prefix { !$0.isWhitespace }) \(namespace) \(getuid())")
    }

    /// Whether the process has certainly ended. Only to be asked within its space.
    package var isGone: Bool {
        switch ProcessEntry.read(number) {
        case .entry(let entry): return entry.startTime != startTime || entry.hasEnded
        case .missing: return true
        case .unreadable: return false
        }
    }

    private static func processNamespace() -> String? {
        var buffer = [CChar](repeating: 0, count: 256)
        let count = readlink("/proc/self/ns/pid", &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }
}

/// What `/proc/N/stat` says about a process (proc(5)).
package struct ProcessEntry: Equatable {
    package enum Reading: Equatable {
        case entry(ProcessEntry)
        case missing
        case unreadable
    }

    /// Whether it has ended, though its parent was not told yet.
    package let hasEnded: Bool
    package let startTime: UInt64

    package static func read(_ number: Int32) -> Reading {
        switch readAll("/proc/\(number)/stat") {
        case .success(let bytes):
            return ProcessEntry(stat: String(decoding: bytes, as: UTF8.self)).map(Reading.entry) ?? .unreadable
        case .failure(let error):
            return error.number == ENOENT || error.number == ESRCH ? .missing : .unreadable
        }
    }

    package init?(stat: String) {
        // The second field is the program's name in parentheses, and may itself have parentheses and spaces.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 19, let threads = Int(fields[17]), let startTime = UInt64(fields[19]) else { return nil }
        // A process whose first thread alone has ended is also called a zombie.
        hasEnded = ["Z", "X", "x"].contains(fields[0]) && threads <= 1
        self.startTime = startTime
    }
}

private struct SystemError: Error {
    let number: Int32
}

private func readAll(_ path: String) -> Result<[UInt8], SystemError> {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return .failure(SystemError(number: errno)) }
    defer { close(file) }
    // Larger than any of the files above.
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(file, &buffer, buffer.count)
    return count >= 0 ? .success(Array(buffer.prefix(count))) : .failure(SystemError(number: errno))
}
