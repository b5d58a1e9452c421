import Failures

/// What a launcher (mpirun, srun) says to the processes it starts, through environment variables: known before MPI is
/// touched, so that a faulty command line is refused once and not once per rank.
public struct LaunchEnvironment: Sendable, Equatable {
    public let rank: Int
    /// Nil when the launcher does not say; MPI will.
    public let size: Int?

    /// The environment of a process under a launcher; nil for a process that was started by hand.
    ///
    /// - Throws: a usage failure when several processes were started by a launcher that MPI can't talk to: each would
    ///   take itself for the only one, and all would write the same output.
    public static func detect(in environment: [String: String]) throws -> LaunchEnvironment? {
        func number(_ key: String) -> Int? { environment[key].flatMap { Int($0) } }

        if let rank = number("OMPI_COMM_WORLD_RANK") ?? number("PMIX_RANK") {
            return LaunchEnvironment(rank: rank, size: number("OMPI_COMM_WORLD_SIZE"))
        }
        if let size = number("PMI_SIZE"), size > 1 {
            throw unsupported("\(size) processes were started by another MPI's launcher, or through PMI-1 or PMI-2")
        }
        // A batch script's own shell has no SLURM_STEP_NUM_TASKS above one; the tasks that srun starts have.
        if let size = number("SLURM_STEP_NUM_TASKS"), size > 1 {
            throw unsupported("\(size) tasks were started by srun without MPI")
        }
        return nil
    }

    private static func unsupported(_ finding: String) -> Failure {
        .usage("\(finding): use Open MPI's mpirun, or srun --mpi=pmix with an Open MPI that has PMIx")
    }
}
