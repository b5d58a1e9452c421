import ArgumentParser
import Failures
import ShardedRuntime

/// `pilot trace`
struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what --trace wrote, where there is no Perfetto at hand.",
        discussion: """
            Prints a table: for each rank the shares of the time in which it computed, in which its next task's input \
            was on its way, and in which there was nothing to do; and the seconds of each kind of task.

            With --svg it draws the same as a picture that any browser shows: a lane for each rank, a colour for each \
            kind of task, arrows for messages.
            """)

    @Argument(help: ArgumentHelp("The trace.", valueName: "file.json"), completion: .file())
    var trace: String

    @Option(help: ArgumentHelp("Draw a picture and print no table.", valueName: "file.svg"), completion: .file())
    var svg: String?

    @Flag(help: "Write over a picture that is there already.")
    var overwrite = false

    func run() throws {
        if let svg {
            var files = FileClaims()
            files.read(trace, by: "the trace")
            try files.write(svg, by: "--svg")
            if !overwrite { try AtomicFile.checkAreNew([svg]) }
            try AtomicFile.checkWritable(svg)
        }
        let file = try TraceFile(trace)
        guard let svg else {
            try Console.print(TraceTable(file).text)
            return
        }
        let picture = TracePicture(file).text
        try AtomicFile.write(to: svg) { try $0.write(picture) }
    }
}
