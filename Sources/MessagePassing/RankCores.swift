import Foundation
import Glibc

/// The cores of its machine that a rank may use.
public struct RankCores: Codable, Equatable, Sendable {
    /// The same for ranks whose cores have the same numbers.
    let machine: String
    /// Numbers of the cores on which the system lets the rank run: all, or those that a launcher, `taskset` or a batch
    /// system chose.
    let numbers: Set<Int>
    /// How many cores' time its control group may use; nil where there is no limit.
    let quota: Double?
    /// Ranks of one machine with the same group share the quota.
    let group: String
    /// The cores that the machine has.
    public let machineCount: Int

    package init(machine: String, numbers: Set<Int>, quota: Double? = nil, group: String = "", machineCount: Int) {
        self.machine = machine
        self.numbers = numbers
        self.quota = quota
        self.group = group
        self.machineCount = machineCount
    }

    /// Those of this process.
    public static func current() -> RankCores {
        let read: (String) -> String? = { try? String(contentsOfFile: $0, encoding: .utf8) }
        let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        // Two containers of one machine, with names of their own, have its cores in common.
        let machine = read("/proc/sys/kernel/random/boot_id") ?? systemHostName()
        return RankCores(
            machine: machine, numbers: allowedNumbers(read: read) ?? Set(0..<online), quota: quota(read: read),
            group: read("/proc/self/cgroup") ?? "", machineCount: online)
    }

    /// How many threads can run at once.
    public var count: Int {
        guard let quota else { return max(1, numbers.count) }
        return max(1, Int(min(Double(numbers.count), quota)))
    }

    /// What sched_getaffinity would say, as the system writes it: `0-3,8`.
    ///
    /// - Parameter read: the text of a file of the system, nil if there is none.
    package static func allowedNumbers(read: (String) -> String?) -> Set<Int>? {
        let name = "Cpus_allowed_list:"
        let lines = (read("/proc/self/status") ?? "").split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix(name) }) else { return nil }
        var numbers: Set<Int> = []
        for range in line.dropFirst(name.count).split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, (first...max(first, mostCores)).contains(last) else {
                return nil
            }
            numbers.formUnion(first...last)
        }
        return numbers.isEmpty ? nil : numbers
    }

    /// More than any machine has.
    private static let mostCores = 1 << 16

    /// The least that a control group around this process grants, in cores.
    ///
    /// - Parameter read: the text of a file of the system, nil if there is none.
    package static func quota(read: (String) -> String?) -> Double? {
        let quotas = ControlGroups.folders(of: "cpu", read: read).compactMap { folder -> Double? in
            let pair =
                folder.isUnified
                ? numbers(read("\(folder.path)/cpu.max"))
                : numbers(read("\(folder.path)/cpu.cfs_quota_us")) + numbers(read("\(folder.path)/cpu.cfs_period_us"))
            // "max", or -1, where there is none.
            guard pair.count == 2, let time = pair[0], let period = pair[1], time > 0, period > 0 else { return nil }
            return time / period
        }
        return quotas.min()
    }

    private static func numbers(_ text: String?) -> [Double?] {
        (text ?? "").split(whereSeparator: \.isWhitespace).map { Double($0) }
    }
}

/// How the ranks of a job share the cores of their machines.
public struct CoreShares: Sendable {
    private let ranks: [RankCores]
    /// Of each rank: its part of every core that it may use, which the ranks that may use it too share with it.
    private let shares: [Double]

    /// - Parameter ranks: in their order.
    public init(_ ranks: [RankCores]) {
        self.ranks = ranks
        var users: [String: [Int: Int]] = [:]
        var members: [String: Int] = [:]
        for rank in ranks {
            for number in rank.numbers { users[rank.machine, default: [:]][number, default: 0] += 1 }
            members[rank.machine + rank.group, default: 0] += 1
        }
        shares = ranks.map { rank in
            let parts = rank.numbers.reduce(0.0) { $0 + 1 / Double(users[rank.machine]?[$1] ?? 1) }
            let quota = rank.quota.map { $0 / Double(members[rank.machine + rank.group] ?? 1) }
            // A third of three cores is a core.
            return min(parts, quota ?? .infinity) + 1e-6
        }
    }

    /// The threads that each rank can have without any core being wanted twice, at least 1.
    public var threads: Int { max(1, Int(shares.min() ?? 1)) }

    /// The rank that may use the fewest cores, and those.
    public var narrowest: (rank: Int, cores: RankCores)? {
        ranks.enumerated().min { $0.element.count < $1.element.count }.map { ($0.offset, $0.element) }
    }

    /// How many ranks are on the machine of rank 0.
    public var ranksBesideFirst: Int { ranks.count { $0.machine == ranks.first?.machine } }

    /// How many of the cores of rank 0's machine some rank may use.
    public var coresInUseBesideFirst: Int {
        ranks.filter { $0.machine == ranks.first?.machine }.reduce(into: Set<Int>()) { $0.formUnion($1.numbers) }.count
    }
}
