import Failures
import Foundation
import MessagePassing

/// A program for the tests to run under mpirun: each scenario does one thing that an inpainting job can do or suffer.
@main
struct Probe {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let rank = ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_RANK"] ?? "0"
        // What must happen before the ranks know each other.
        if arguments == ["dieEarly", rank] { kill(getpid(), SIGKILL) }
        let version = arguments.first == "mixedVersions" && rank != "0" ? "1.\(rank)" : "1.0"
        let cleanUps = CleanUps()
        await ParallelProgram.run(version: version, cleanUps: cleanUps) { communicator in
            guard let name = arguments.first, let scenario = Scenario(rawValue: name) else {
                throw Failure.usage("no such scenario: \(arguments)")
            }
            try await scenario.run(communicator, Array(arguments.dropFirst()), cleanUps)
        }
    }
}

/// Writes a line in one piece, so that the ranks' lines don't mix.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
