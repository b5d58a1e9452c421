import Foundation
import Glibc
import MessagePassing

/// How much memory this machine grants to what is started now.
public enum MachineMemory {
    /// What is available of the machine's memory, or what is left of a control group's limit, whichever is less, in
    /// bytes; nil where the system does not tell.
    public static func availableBytes() -> Int? {
        availableBytes { try? String(contentsOfFile: $0, encoding: .utf8) }
    }

    /// - Parameter read: the text of a file of the system, nil if there is none.
    package static func availableBytes(read: (String) -> String?) -> Int? {
        let machine = read("/proc/meminfo").flatMap { bytes(of: "MemAvailable", in: $0) }
        return (controlGroups(read) + [machine]).compactMap { $0 }.min()
    }

    /// What is left in each control group that holds this process.
    private static func controlGroups(_ read: (String) -> String?) -> [Int?] {
        ControlGroups.folders(of: "memory", read: read).map { folder in
            folder.isUnified
                ? room(folder.path, limit: "memory.max", use: "memory.current", "inactive_file", read)
                : room(
                    folder.path, limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes", "total_inactive_file",
                    read)
        }
    }

    /// What is left of the limits on this process's own memory (`ulimit -v`, `ulimit -d`), in bytes; nil where there are
    /// none. Address space counts, whether or not there is memory behind it.
    public static func availableBytesOfProcess() -> Int? {
        availableBytesOfProcess(addressSpace: limit(RLIMIT_AS.rawValue), data: limit(RLIMIT_DATA.rawValue)) {
            try? String(contentsOfFile: $0, encoding: .utf8)
        }
    }

    package static func availableBytesOfProcess(
        addressSpace: Int?, data: Int?, read: (String) -> String?
    ) -> Int? {
        let status = read("/proc/self/status") ?? ""
        return [(addressSpace, "VmSize"), (data, "VmData")].compactMap { limit, use in
            limit.map { max(0, $0 - (bytes(of: use, in: status) ?? 0)) }
        }.min()
    }

    private static func limit(_ resource: UInt32) -> Int? {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(resource), &limits) == 0 else { return nil }
        // No limit is the greatest number there is.
        return Int(exactly: limits.rlim_cur)
    }

    /// The limit less what is used, pages of files aside that go when memory is wanted; nil where there is no limit.
    private static func room(
        _ folder: String, limit: String, use: String, _ reclaimable: String, _ read: (String) -> String?
    ) -> Int? {
        guard let limit = read("\(folder)/\(limit)").flatMap(number), limit < Self.unlimited else { return nil }
        let used = read("\(folder)/\(use)").flatMap(number) ?? 0
        let files = read("\(folder)/memory.stat").flatMap { value(of: reclaimable, in: $0) } ?? 0
        return max(0, limit - max(0, used - files))
    }

    /// What the first version of control groups says where there is no limit: the greatest whole number of pages.
    private static let unlimited = Int.max / 65536 * 65536

    private static func number(_ text: String) -> Int? { Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) }

    /// Of a line `key value`.
    private static func value(of key: String, in text: String) -> Int? {
        text.split(separator: "\n").first { $0.hasPrefix("\(key) ") }.flatMap {
            number(String($0.dropFirst(key.count)))
        }
    }

    /// Of a line `key: n kB`.
    private static func bytes(of key: String, in text: String) -> Int? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("\(key):") }),
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        let (bytes, overflows) = kibibytes.multipliedReportingOverflow(by: 1024)
        return overflows ? nil : bytes
    }
}
