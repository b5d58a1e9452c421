import Foundation
import ImageFiles
import InpaintingJobs
import Testing

@Suite struct ContactSheetTests {
    @Test func charactersAreTold() {
        let pictures = (UInt8(0x20)..<0x7F).map { character in
            (0..<BitmapFont.height).flatMap { row in
                (0..<BitmapFont.width).map { BitmapFont.isBlack(character, row: row, column: $0) }
            }
        }
        #expect(Set(pictures).count == 95)
        #expect(pictures[0].allSatisfy { !$0 })
        // What is not ASCII is a question mark.
        #expect(SheetCanvas.ascii("aé🦊b\n") == Array("a??b?".utf8))
        #expect(
            (0..<8).allSatisfy {
                BitmapFont.isBlack(200, row: $0, column: 2) == BitmapFont.isBlack(63, row: $0, column: 2)
            })
    }

    @Test func textIsBrokenAtSpaces() {
        let words = "a fox in the snow under a very large moon, and one word\nof the next line"
        #expect(
            ContactSheet.wrapped(words, lines: 4)
                == ["a fox in the snow under a very large", "moon, and one word of the next line"])
        #expect(ContactSheet.wrapped(words, lines: 1) == ["a fox in the snow under a very large..."])
        let long = String(repeating: "x", count: 100)
        #expect(ContactSheet.wrapped(long, lines: 9).map(\.count) == [40, 40, 20])
        #expect(ContactSheet.wrapped("", lines: 3).isEmpty && ContactSheet.wrapped("a", lines: 0).isEmpty)
    }

    /// A row for each job, also for those that failed and those that an earlier run has done.
    @Test func rowsShowInputsAndResults() async throws {
        let folder = try BatchFolder()
        try Data("no picture".utf8).write(to: URL(filePath: folder.file("text.png")))
        var setup = try folder.setup([
            #"{"output": "a.png"}"#, #"{"output": "b.png", "image": "\#(folder.file("text.png"))"}"#,
            #"{"output": "c.png", "invert_mask": true, "prompt": "a fox that is not seen"}"#,
        ])
        setup.remembersJobs = true
        try await folder.run(setup)
        let outcome = try await folder.run(setup)
        #expect(outcome.entries.map(\.result.status) == [.present, .failed, .present])
        let file = folder.file("sheet.png")
        try ContactSheet.write(outcome.entries, to: file, overwrites: false)
        let sheet = try DecodedImage.read(file).rgb
        #expect(sheet.height == 8 + 3 * 136 && sheet.width == 8 + 3 * 136 + 480 + 8)

        func pixel(_ picture: RGBImage, _ x: Int, _ y: Int) -> ArraySlice<UInt8> {
            let start = 3 * (y * picture.width + x)
            return picture.bytes[start..<start + 3]
        }
        // 64 x 48 pixels become 128 x 96, in the middle of their square.
        let image = try DecodedImage.read(folder.file("image.png")).rgb
        let result = try DecodedImage.read(folder.output("c.png")).rgb
        let mask = try DecodedImage.read(folder.file("mask.png")).grey.binaryMask()
        for (x, y) in [(0, 0), (63, 47), (30, 20), (40, 33)] {
            func shown(_ column: Int, _ row: Int) -> ArraySlice<UInt8> {
                pixel(sheet, 8 + 136 * column + 2 * x, 8 + 136 * row + 16 + 2 * y)
            }
            #expect(shown(0, 0) == pixel(image, x, y))
            #expect(shown(2, 2) == pixel(result, x, y))
            let isRepainted = mask.values[y * 64 + x] == 1
            #expect(shown(1, 0).allSatisfy { $0 == (isRepainted ? 255 : 0) })
            #expect(shown(1, 2).allSatisfy { $0 == (isRepainted ? 0 : 255) })
            #expect(shown(2, 1).allSatisfy { $0 == 224 })
        }
        // Something is written beside each.
        for row in 0..<3 {
            let isWritten = (0..<128).contains { y in
                (0..<480).contains { pixel(sheet, 8 + 3 * 136 + $0, 8 + 136 * row + y).first == 0 }
            }
            #expect(isWritten)
        }
    }
}
