import MessagePassing
import Testing

/// Which cores ranks have, and how they share them.
@Suite struct RankCoresTests {
    private func quota(_ files: [String: String]) -> Double? { RankCores.quota { files[$0] } }

    @Test func theLeastQuotaCounts() {
        #expect(quota([:]) == nil)
        let unified = [
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/a/cpu.max": "250000 100000\n", "/sys/fs/cgroup/cpu.max": "4000000 1000000\n",
        ]
        #expect(quota(unified) == 2.5)
        let first = [
            "/proc/self/cgroup": "9:memory:/m\n4:cpu,cpuacct:/x\n0::/\n",
            "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "150000\n", "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(first) == 1.5)
    }

    @Test(arguments: ["", "max", "x y", "0 0", "-1 100000", "100000", "max 100000 5"])
    func nonsenseIsNoQuota(text: String) {
        #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": text]) == nil)
    }

    @Test func affinityIsReadAsTheSystemWritesIt() {
        func numbers(_ list: String) -> Set<Int>? {
            RankCores.allowedNumbers {
                $0 == "/proc/self/status" ? "Name:\tpilot\nCpus_allowed:\tff\nCpus_allowed_list:\t\(list)\n" : nil
            }
        }
        #expect(numbers("0-3,8") == [0, 1, 2, 3, 8])
        #expect(numbers("5") == [5])
        for nonsense in ["", "x", "3-1", "0-99999999999", "-"] { #expect(numbers(nonsense) == nil, "\(nonsense)") }
    }

    private func rank(_ machine: String, _ numbers: Range<Int>, quota: Double? = nil) -> RankCores {
        RankCores(machine: machine, numbers: Set(numbers), quota: quota, group: "0::/", machineCount: 64)
    }

    @Test func ranksShareTheCoresThatTheyOverlapOn() {
        let whole = rank("a", 0..<64)
        #expect(CoreShares([whole]).threads == 64)
        #expect(CoreShares([whole, whole]).threads == 32)
        #expect(CoreShares([whole, whole, whole]).threads == 21)
        // Each bound to cores of its own, or on a machine of its own.
        #expect(CoreShares([rank("a", 0..<32), rank("a", 32..<64)]).threads == 32)
        #expect(CoreShares([whole, rank("b", 0..<64)]).threads == 64)
        #expect(CoreShares([rank("a", 0..<1), rank("a", 1..<2)]).threads == 1)
        // The least of all, since every rank has as many.
        #expect(CoreShares([whole, rank("b", 0..<8)]).threads == 8)
        #expect(CoreShares([rank("a", 0..<4), rank("a", 2..<6)]).threads == 3)
        // More ranks than cores.
        #expect(CoreShares((0..<8).map { _ in rank("a", 0..<2) }).threads == 1)
    }

    @Test func aQuotaIsTimeThatAllHaveTogether() {
        let limited = rank("a", 0..<64, quota: 6)
        #expect(limited.count == 6)
        #expect(CoreShares([limited]).threads == 6)
        #expect(CoreShares([limited, limited]).threads == 3)
        #expect(rank("a", 0..<64, quota: 0.5).count == 1)
        #expect(CoreShares([rank("a", 0..<64, quota: 0.5)]).threads == 1)
    }

    @Test func thisProcessHasCores() {
        let own = RankCores.current()
        #expect(own.count >= 1 && own.count <= own.machineCount)
        #expect(CoreShares([own]).narrowest?.rank == 0)
    }
}
