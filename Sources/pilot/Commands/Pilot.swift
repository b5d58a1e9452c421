import ArgumentParser
import Failures
import Foundation
import Glibc
import InpaintingJobs
import MessagePassing

/// The command line: parsed on rank 0 alone, so that help and errors come once, whatever the number of ranks.
@main
struct Pilot: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pilot",
        abstract: "Coherent image inpainting by latent space optimisation, on any number of MPI ranks.",
        version: Version.text,
        subcommands: [
            Inpaint.self, BatchCommand.self, Plan.self, Model.self, LoRACommand.self, Control.self, Trace.self,
            Completions.self,
            Manual.self,
        ])

    @Flag(name: .customShort("V"), help: "Show the version.")
    var showsVersion = false

    func run() throws {
        throw showsVersion ? CleanExit.message(Version.text) : CleanExit.helpRequest(self)
    }

    static func main() async {
        StandardStreams.reserveNumbers()
        // Whoever stops reading the progress does not mean to lose the picture.
        signal(SIGPIPE, SIG_IGN)
        let cleanUps = CleanUps()
        _ = cleanUps.register { AtomicFile.removeUnfinished() }
        await ParallelProgram.run(version: Version.text, cleanUps: cleanUps) { communicator in
            if communicator.rank == 0 {
                try await obey(Array(CommandLine.arguments.dropFirst()), communicator)
            } else {
                try await RankOrder.obey(communicator)
            }
        }
    }

    /// Runs the command that `arguments` name; the other ranks wait for an order, and get one in any case.
    private static func obey(_ arguments: [String], _ communicator: any Communicator) async throws {
        do {
            var command = try parseAsRoot(arguments)
            if let ranked = command as? any RankedCommand {
                try await ranked.run(on: communicator)
                return
            }
            try command.run()
        } catch let failure as Failure {
            throw failure
        } catch {
            guard exitCode(for: error) == .success else {
                throw CommandLineFault(error, arguments: arguments).failure
            }
            try Console.print(fullMessage(for: error))
        }
        try await RankOrder.nothing.give(to: communicator)
    }
}

/// A command that all ranks work on; its `run` is called on rank 0.
protocol RankedCommand: ParsableCommand {
    /// Runs the command, and gives the other ranks exactly one order.
    func run(on communicator: any Communicator) async throws
}
