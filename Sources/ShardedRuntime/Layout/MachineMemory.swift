import Foundation

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

    /// What is left in each control group that holds this process, from its own up to the root.
    private static func controlGroups(_ read: (String) -> String?) -> [Int?] {
        let lines = (read("/proc/self/cgroup") ?? "").split(separator: "\n")
        return lines.flatMap { line -> [Int?] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let isUnified = fields[0] == "0" && fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { return [] }
            return ancestors(of: String(fields[2])).map { path in
                isUnified
                    ? room("/sys/fs/cgroup\(path)", limit: "memory.max", use: "memory.current", "inactive_file", read)
                    : room(
                        "/sys/fs/cgroup/memory\(path)", limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes",
                        "total_inactive_file", read)
            }
        }
    }

    /// `/a/b` to `/a/b`, `/a` and the root; in a container the group's own path may not be visible, and the root is its.
    private static func ancestors(of path: String) -> [String] {
        let parts = path.split(separator: "/")
        return (0...parts.count).reversed().map { count in parts.prefix(count).map { "/\($0)" }.joined() }
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
