import Foundation

/// Several hosts on this machine, with names and networks of their own, each for the time of one command: scripts/hosts.
public enum Hosts {
    private static let script =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path() + "scripts/hosts"

    /// Why hosts can't be made here; nil where they can.
    public static let obstacle: String? = {
        let check = Process()
        let errors = Pipe()
        check.executableURL = URL(filePath: "/bin/bash")
        check.arguments = [script, "check"]
        check.standardError = errors
        do {
            try check.run()
            let text = try errors.fileHandleForReading.readToEnd() ?? Data()
            check.waitUntilExit()
            guard check.terminationStatus != 0 else { return nil }
            return String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)
        } catch {
            return "scripts/hosts check: \(error)"
        }
    }()

    /// Runs a program of this package under mpirun from the first of some hosts, which reach each other over TCP.
    ///
    /// - Parameters:
    ///   - hosts: how many; host after host is filled with `ranksPerHost` ranks.
    ///   - program: the name of a product, or the path of any other program.
    public static func mpirun(
        hosts: Int, ranksPerHost: Int = 1, _ program: String, _ arguments: [String]
    ) async throws -> ProgramResult {
        let launch = ["mpirun", "-q", "--bind-to", "none", "-np", String(hosts * ranksPerHost)]
        return try await Launcher.run(
            "/bin/bash",
            [script, "run", "--slots", String(ranksPerHost), String(hosts)] + launch
                + [try Launcher.path(of: program)] + arguments)
    }
}

/// A process that mpirun started as a rank, wherever on this machine's hosts.
public struct RankProcess: Sendable {
    public let identifier: pid_t
    /// What tells its host from the others: the namespace of the host's name.
    public let host: String

    /// The process of a rank of the job that has `argument` among its arguments.
    public static func find(rank: Int, argument: String) -> RankProcess? {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for process in processes.compactMap({ pid_t($0) }) {
            guard strings("/proc/\(process)/cmdline").contains(argument),
                strings("/proc/\(process)/environ").contains("OMPI_COMM_WORLD_RANK=\(rank)"),
                let host = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/ns/uts")
            else { continue }
            return RankProcess(identifier: process, host: host)
        }
        return nil
    }

    /// The processes of ranks 0 to `ranks` - 1, as soon as all are there, but for those that are not within 30 seconds.
    public static func awaitAll(ranks: Int, argument: String) async throws -> [RankProcess] {
        let limit = ContinuousClock.now + .seconds(30)
        while true {
            let found = (0..<ranks).compactMap { find(rank: $0, argument: argument) }
            if found.count == ranks || .now > limit { return found }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// The strings of a file of /proc, each of which ends with a zero byte.
    private static func strings(_ path: String) -> [String] {
        let bytes = (try? Data(contentsOf: URL(filePath: path))) ?? Data()
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
