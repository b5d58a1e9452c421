import Failures
import Foundation
import Testing

/// One file has many names, and is one file all the same.
@Suite struct FileClaimsTests {
    /// Claims `first`, then `second` as an output; the folder has `a` with its links, and a folder `sub`.
    private func refusal(_ first: String, isInput: Bool, _ second: String) throws -> Failure? {
        try withTemporaryFolder { folder in
            let manager = FileManager.default
            try Data("a".utf8).write(to: URL(filePath: folder + "/a"))
            try manager.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "a")
            try manager.linkItem(atPath: folder + "/a", toPath: folder + "/hard")
            try manager.createDirectory(atPath: folder + "/sub", withIntermediateDirectories: false)
            try manager.createSymbolicLink(atPath: folder + "/way", withDestinationPath: "sub")
            func path(_ name: String) -> String { name.hasPrefix("/") ? name : "\(folder)/\(name)" }
            var files = FileClaims()
            if isInput {
                files.read(path(first), by: "--image")
            } else {
                try files.write(path(first), by: "--output")
            }
            return failure { try files.write(path(second), by: "--dump") }
        }
    }

    @Test(arguments: [
        ("a", "a"), ("a", "./a"), ("a", "sub/../a"), ("link", "a"), ("hard", "link"), ("new", "./new"),
        ("sub/new", "way/new"), ("sub", "sub/"), ("new", "new/"),
    ])
    func oneFileIsClaimedOnce(first: String, second: String) throws {
        for isInput in [true, false] {
            let refusal = try #require(try refusal(first, isInput: isInput, second))
            #expect(refusal.kind == .usage)
            let words = isInput ? "would be written over" : "--output and --dump name the same file"
            #expect(refusal.message.contains(words), "\(refusal.message)")
        }
    }

    @Test(arguments: [("a", "b"), ("new", "sub/new"), ("/dev/null", "/dev/null"), ("none/new", "none/other")])
    func otherFilesAreFree(first: String, second: String) throws {
        #expect(try refusal(first, isInput: false, second) == nil)
    }

    @Test func namesInAFolderAreKept() throws {
        try withTemporaryFolder { folder in
            for (name, isFree) in [("step-1.png", false), ("result.png", true)] {
                var files = FileClaims()
                try files.write("\(folder)/\(name)", by: "--output")
                let refusal = failure { try files.write(filesIn: folder + "/.", beginning: ["step-"], by: "--preview") }
                #expect((refusal == nil) == isFree)
            }
        }
    }
}
