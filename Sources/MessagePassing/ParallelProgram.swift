import Failures
import Foundation
import Glibc

/// Runs a program on the ranks that a launcher started, or on the single rank of a process started by hand.
public enum ParallelProgram {
    /// Runs `body` on this rank and ends the process: with 0 when every rank's body returned, else with the exit code
    /// of the first failure, after one line `pilot: error: …` on rank 0's standard error.
    ///
    /// Without a launcher MPI is not touched. When one rank fails, or is told by a signal to end, all ranks end within
    /// seconds, whatever their bodies are doing, and run their `cleanUps`. So they do when a rank or the launcher dies.
    ///
    /// - Parameter version: the program's, which must be the same on all ranks.
    public static func run(
        version: String, cleanUps: CleanUps = CleanUps(), _ body: @Sendable (any Communicator) async throws -> Void
    ) async -> Never {
        let launch: LaunchEnvironment?
        do {
            launch = try LaunchEnvironment.detect(in: ProcessInfo.processInfo.environment)
        } catch {
            end(with: Failure(wrapping: error))
        }
        if let launch, launch.size != 1 {
            await runUnderMPI(launch, version, cleanUps, body)
        } else {
            await runAlone(cleanUps, body)
        }
    }

    private static func runAlone(
        _ cleanUps: CleanUps, _ body: @Sendable (any Communicator) async throws -> Void
    ) async -> Never {
        let handler = TerminationHandler.install { signal in
            StandardError.report(explanation(of: signal, underLauncher: false) + "; " + removed)
            cleanUps.runAll()
            _exit(signal.exitCode)
        }
        let fail: @Sendable (Failure) -> Void = { failure in
            cleanUps.runAll()
            end(with: failure)
        }
        Uncatchable.onFailure(fail)
        do { try await body(LocalCommunicator()) } catch { fail(Failure(wrapping: error)) }
        withExtendedLifetime(handler) {}
        fflush(nil)
        _exit(0)
    }

    private static func runUnderMPI(
        _ launch: LaunchEnvironment, _ version: String, _ cleanUps: CleanUps,
        _ body: @Sendable (any Communicator) async throws -> Void
    ) async -> Never {
        let endpoint: MPIEndpoint
        let launcherWatch: LifeWatch
        do {
            launcherWatch = try LifeWatch.launcher { endWithoutLauncher(launch, cleanUps) }
            endpoint = try await MPIEndpoint.start()
        } catch {
            end(with: Failure(wrapping: error))
        }
        // Of the launchers, mpirun alone tells the number of ranks.
        let departure = Departure(endpoint: endpoint, cleanUps: cleanUps, isLauncherStrict: launch.size != nil)
        let handler = TerminationHandler.install { departure.interrupt($0) }
        Uncatchable.onFailure { departure.fail($0) }
        endpoint.open(
            MPIEndpoint.Events(
                control: { departure.receive($0, from: $1) },
                fault: { departure.fault($0) },
                finalised: { departure.end() }))
        do {
            if let expected = launch.size, expected != endpoint.size {
                throw Failure.usage(
                    "the launcher started \(expected) ranks, but MPI knows of \(endpoint.size): "
                        + "start the program with the mpirun of the Open MPI that it was built with")
            }
            let communicator = MPICommunicator(endpoint: endpoint)
            let directory = try await RankDirectory.exchange(
                over: communicator, version: version, doorbell: endpoint.doorbell?.name)
            endpoint.know(directory)
            try departure.know(directory)
            try await body(communicator)
            departure.finish()
        } catch {
            departure.fail(Failure(wrapping: error))
        }
        // The endpoint's thread ends the process when the ranks have agreed on it.
        while true { try? await Task.sleep(for: .seconds(3600)) }
        withExtendedLifetime((handler, launcherWatch)) {}
    }

    /// Whoever started the ranks is gone, and with it, as a rule, whoever would read what they write.
    private static func endWithoutLauncher(_ launch: LaunchEnvironment, _ cleanUps: CleanUps) {
        cleanUps.runAll()
        signal(SIGPIPE, SIG_IGN)
        if launch.rank == 0 { StandardError.report("the launcher (mpirun) died, so the job ends; \(removed)") }
        _exit(Failure.Kind.internalFault.rawValue)
    }

    static let removed = "what was half-written is removed"

    static func explanation(of signal: TerminationHandler.Signal, underLauncher: Bool) -> String {
        switch signal {
        case .interrupt: return "interrupted by Ctrl-C"
        case .hangUp: return "stopped: the terminal is gone (SIGHUP)"
        case .terminate where underLauncher: return "stopped by the launcher (SIGTERM)"
        case .terminate: return "stopped by a request to terminate (SIGTERM)"
        }
    }

    private static func end(with failure: Failure) -> Never {
        StandardError.report(failure.message)
        fflush(nil)
        _exit(failure.exitCode)
    }
}
