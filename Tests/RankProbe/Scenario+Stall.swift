import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport

extension Scenario {
    /// What befalls a rank in the middle of its work.
    private enum Mishap: String {
        /// The whole process is stopped for good.
        case stop
        /// The whole process is killed.
        case die
        /// The compute thread never comes back.
        case hang
        /// Every pass takes its time, far longer in all than is allowed without progress.
        case slow
    }

    /// Jobs on three stages or strips, `stall MISHAP RANK TIMEOUT [JOBS [DIMENSION]]`; each rank says its process first.
    func stall(_ communicator: any Communicator, _ arguments: [String]) async throws {
        guard arguments.count >= 3, let mishap = Mishap(rawValue: arguments[0]), let unlucky = Int(arguments[1]),
            let timeout = Double(arguments[2])
        else { throw Failure.usage("expected a mishap, its rank, and a timeout") }
        let jobs = arguments.count > 3 ? Int(arguments[3]) ?? 1 : 1
        say("process \(communicator.rank) \(getpid())")
        let model = try StageModel(fixture: "odd")
        let isInStrips = arguments.count > 4 && arguments[4] == "strips"
        let layout = try model.layout(branches: 1, stages: isInStrips ? 1 : 3, strips: isInStrips ? 3 : 1)
        let isUnlucky = communicator.rank == unlucky
        let workers = try await model.workers(
            of: communicator.rank, in: layout, wires: StripWires(layout, communicator: communicator)
        ) { pass in
            guard isUnlucky, mishap == .slow || pass == 3 else { return }
            switch mishap {
            case .stop: kill(getpid(), SIGSTOP)
            case .hang: while true { sleep(1000) }
            case .slow: usleep(300_000)
            case .die: kill(getpid(), SIGKILL)
            }
        }
        let observation = Observation(stallTimeout: timeout)
        guard communicator.rank == 0 else {
            return try await ShardedNetwork.serve(
                layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers,
                observation: observation)
        }
        let network = ShardedNetwork(
            layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers,
            observation: observation)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<jobs {
                let job = TrialJob(model.configuration, height: 9, width: 8, steps: 4, number: number)
                group.addTask { _ = try await job.run(on: network) }
            }
            try await group.waitForAll()
        }
        network.stop()
        say("done")
    }
}
