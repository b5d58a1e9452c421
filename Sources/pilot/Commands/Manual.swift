import ArgumentParser
import Foundation
import InpaintingJobs

/// `pilot manual`
struct Manual: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the manual page, for man.",
        discussion: """
            It has what --help says of every command. scripts/install and the Debian package put it where man looks. \
            Without them:

              pilot manual | man -l -
            """)

    func run() throws {
        // The parser's own description of all that is declared, so that the page can't say anything else.
        let description = try JSONDecoder().decode(ToolDescription.self, from: Data(Pilot._dumpHelp().utf8))
        try Console.print(ManualPage(description.command, version: Version.text).text)
    }
}
