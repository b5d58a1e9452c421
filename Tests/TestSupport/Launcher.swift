import Foundation

/// What a program that ran to its end left behind.
public struct ProgramResult: Sendable {
    /// The exit status; 128 + the signal's number when a signal ended it.
    public let exitCode: Int32
    public let output: String
    public let errors: String
    /// Whether it was still there at the time limit, and had to be killed.
    public let hasHung: Bool

    /// The program's own error lines, whatever else a launcher or a library wrote.
    public var failureLines: [String] {
        errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("pilot: error:") }
    }
}

public struct LaunchError: Error, CustomStringConvertible {
    public let description: String
}

/// Starts the programs of this package, alone or under mpirun.
public enum Launcher {
    /// Far above what any test's program needs on a slow machine: reaching it means that it hangs.
    public static let timeLimit = 60.0

    /// The folder of the programs that were built together with the running tests.
    public static func productFolder() throws -> URL {
        URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .deletingLastPathComponent()
    }

    /// Runs a program of this package without a launcher.
    ///
    /// - Parameters:
    ///   - program: the name of a product, or the path of any other program.
    ///   - folder: the working directory, if not this process's own.
    ///   - variables: what the environment has besides.
    ///   - onOutput: called once, when the first output comes, with the process.
    ///   - onErrorOutput: likewise for standard error.
    public static func run(
        _ program: String, _ arguments: [String], in folder: String? = nil, variables: [String: String] = [:],
        onOutput: (@Sendable (Process) -> Void)? = nil, onErrorOutput: (@Sendable (Process) -> Void)? = nil
    ) async throws -> ProgramResult {
        try await execute(
            try path(of: program), arguments, folder: folder,
            environment: outerEnvironment().merging(variables) { _, new in new }, onOutput: onOutput,
            onErrorOutput: onErrorOutput)
    }

    /// Runs a program of this package on `ranks` ranks of this machine.
    ///
    /// - Parameters:
    ///   - program: the name of a product, or the path of any other program.
    ///   - folder: the working directory, if not this process's own.
    ///   - onOutput: called once, when the first output comes, with mpirun's process.
    ///   - onErrorOutput: likewise for standard error.
    public static func mpirun(
        ranks: Int, _ program: String, _ arguments: [String], in folder: String? = nil,
        variables: [String: String] = [:], onOutput: (@Sendable (Process) -> Void)? = nil,
        onErrorOutput: (@Sendable (Process) -> Void)? = nil
    ) async throws -> ProgramResult {
        try await execute(
            try mpirunPath(), try mpirunOptions(ranks, program) + arguments, folder: folder,
            environment: mpirunEnvironment(variables), onOutput: onOutput, onErrorOutput: onErrorOutput)
    }

    /// Runs a shell's script in which `"$@"` is the program with its arguments, on so many ranks: for redirections,
    /// pipes and limits.
    public static func shell(
        _ script: String, ranks: Int = 1, _ program: String, _ arguments: [String], in folder: String? = nil
    ) async throws -> ProgramResult {
        let command =
            ranks == 1 ? [try path(of: program)] : [try mpirunPath()] + (try mpirunOptions(ranks, program))
        return try await execute(
            "/bin/sh", ["-c", script, "sh"] + command + arguments, folder: folder, environment: mpirunEnvironment([:]),
            onOutput: nil, onErrorOutput: nil)
    }

    private static func mpirunPath() throws -> String {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        let candidates = folders.map { "\($0)/mpirun" }
        guard let mpirun = candidates.first(where: FileManager.default.isExecutableFile(atPath:)) else {
            throw LaunchError(
                description: "mpirun is not installed: these tests need Open MPI (Debian: apt install openmpi-bin)")
        }
        return mpirun
    }

    private static func mpirunEnvironment(_ variables: [String: String]) -> [String: String] {
        var environment = outerEnvironment().merging(variables) { _, new in new }
        environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
        environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
        // Containers forbid the copy from process to process that Open MPI would use.
        environment["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
        // One machine needs no ssh, but Open MPI looks for it.
        environment["OMPI_MCA_plm_rsh_agent"] = "sh"
        return environment
    }

    private static func mpirunOptions(_ ranks: Int, _ program: String) throws -> [String] {
        ["-q", "--oversubscribe", "--bind-to", "none", "-np", String(ranks), try path(of: program)]
    }

    static func path(of program: String) throws -> String {
        let path = try program.hasPrefix("/") ? program : productFolder().appendingPathComponent(program).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw LaunchError(description: "\(path) was not built: build with swift build -c release --build-tests")
        }
        return path
    }

    /// The environment without what an outer launcher may have left in it, or a user of this program; and with a
    /// calibration of our own, or layouts would depend on whether the user has one.
    private static func outerEnvironment() -> [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { key, _ in
            !["OMPI_", "PMIX_", "PMI_", "SLURM_", "PILOT_"].contains { key.hasPrefix($0) }
        }
        environment["XDG_CACHE_HOME"] = cache
        return environment
    }

    private static let cache = URL(filePath: #filePath).deletingLastPathComponent().path() + "Cache"

    private static func execute(
        _ path: String, _ arguments: [String], folder: String?, environment: [String: String],
        onOutput: (@Sendable (Process) -> Void)?, onErrorOutput: (@Sendable (Process) -> Void)?
    ) async throws -> ProgramResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = environment
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        process.standardInput = FileHandle.nullDevice
        let output = OutputCollector { onOutput?(process) }
        let errors = OutputCollector { onErrorOutput?(process) }
        process.standardOutput = output.pipe
        process.standardError = errors.pipe
        let watch = HangWatch(process: process, limit: timeLimit)
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try withoutBlockedSignals(process.run) } catch { continuation.resume(throwing: error) }
        }
        let hasHung = watch.stop()
        let status = process.terminationStatus
        return ProgramResult(
            exitCode: process.terminationReason == .exit ? status : 128 + status,
            output: await output.text(), errors: await errors.text(), hasHung: hasHung)
    }
}

/// Runs `body` with no signal blocked: a new process inherits what its starter blocks, the threads of Swift's tasks
/// block all signals, and mpirun would never see Ctrl-C.
private func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
    var none = sigset_t()
    var before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try body()
}
