/*
 * target.h
 *	  What all fuzz targets share: failures, and what a run has seen.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <cstddef>
#include <cstdint>
#include <string>

/* Says what is wrong, and ends the process in the way that libFuzzer keeps the
 * input for. */
[[noreturn]] void fail(const std::string &what);

/* Counted, and printed when the process ends; the text must be there until then. */
void count(const char *what);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* The text as the mutated input; the old one where there is no room for it */
size_t replace_input(uint8_t *data, size_t size, size_t max_size, const std::string &text);

#endif							/* FUZZ_TARGET_H */
