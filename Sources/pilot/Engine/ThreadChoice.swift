import Failures
import Foundation
import MessagePassing

/// What launchers say in the environment about cores and ranks.
struct LaunchSettings: Equatable {
    /// How many ranks are on this machine.
    var localSize: Int?
    /// The cores that Slurm gives each task.
    var coresPerTask: Int?
    /// Whether Slurm chose the cores.
    var isOfSlurm = false

    static var current: LaunchSettings { LaunchSettings(ProcessInfo.processInfo.environment) }

    init(_ environment: [String: String] = [:]) {
        func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } }
        localSize = number("OMPI_COMM_WORLD_LOCAL_SIZE") ?? number("SLURM_NTASKS_PER_NODE")
        coresPerTask = number("SLURM_CPUS_PER_TASK")
        isOfSlurm = environment["SLURM_JOB_ID"] != nil
    }
}

/// How many threads each rank computes with.
struct ThreadChoice {
    let threads: Int
    /// What the user should know: that there are more threads than cores, or that a launcher keeps cores from them.
    let warning: String?

    /// Threads that take turns on a core are slower the more they are; so many times the cores are a mistake.
    static let mostPerCore = 4

    /// - Parameter wanted: by the user; nil for as many as there are cores.
    /// - Throws: `Failure.usage` when that is none, or more than `mostPerCore` for each core that a rank may use.
    init(_ wanted: Int?, shares: CoreShares, environment: LaunchSettings) throws {
        let room = shares.threads
        threads = wanted ?? min(room, environment.coresPerTask ?? room)
        guard let (rank, cores) = shares.narrowest else {
            warning = nil
            return
        }
        let most = cores.count * Self.mostPerCore
        guard (1...most).contains(threads) else {
            throw Failure.usage(
                "--threads: expected 1 to \(most), which is \(Self.mostPerCore) for each of the "
                    + "\(Console.count(cores.count, "core")) that rank \(rank) may use, found \(threads); without "
                    + "--threads each rank takes \(room)")
        }
        warning = Self.warning(threads, isWanted: wanted != nil, room: room, cores, shares, environment)
    }

    private static func warning(
        _ threads: Int, isWanted: Bool, room: Int, _ cores: RankCores, _ shares: CoreShares,
        _ environment: LaunchSettings
    ) -> String? {
        let granted =
            "may use \(cores.count) of the machine's \(Console.count(cores.machineCount, "core"))"
        let ranks = shares.ranksBesideFirst
        let binding =
            ranks > 1 && cores.count < cores.machineCount
            ? "; start it with mpirun --bind-to none (or --map-by slot:PE=\(threads))" : ""
        if threads > cores.count {
            return "a rank computes with \(Console.count(threads, "thread")) and \(granted)\(binding)"
        }
        if threads > room {
            return
                "\(ranks) ranks of \(Console.count(threads, "thread")) share the machine's "
                + "\(Console.count(shares.coresInUseBesideFirst, "core")) and take turns on them; without --threads "
                + "each takes \(room)"
        }
        // mpirun binds a rank to a core unless it is told otherwise.
        let isIdle = ranks > 1 && !environment.isOfSlurm && shares.coresInUseBesideFirst * 2 <= cores.machineCount
        guard isIdle, !isWanted else { return nil }
        return "a rank \(granted), and most of them stay idle; start it with mpirun --bind-to none"
    }
}
